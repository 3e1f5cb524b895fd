"""Training as a job: rows to clips, curves and results to rows; whatever happens, nothing is lost or double."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.conf import settings as project_settings
from django.core.files.storage import default_storage
from django.db import connection
from django.utils import timezone

from datasets_app.models import Clip, ClipKind, Dataset, Origin, RawData, RawDataImport, Source
from edgewise import storage
from edgewise.accounts.models import User, Workspace
from edgewise.jobs import services as jobs
from edgewise.jobs.models import LogLine, State
from edgewise.spec.detection import SMOOTHING_MS, THRESHOLDS
from edgewise.spec.network import LMUStage, NetworkSpec
from runs_app import services
from runs_app.models import Detection, Evaluation, Project, Run, Series
from tests.integration.runs.conftest import HEARD, NOISE_SECONDS, dataset_of
from tests.unit.engine.tones import RATE, SAMPLES, run_parameters
from workers.attempt import Attempt, Stopped
from workers.engine.errors import EngineError
from workers.jobs import manifest, recorder, train

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(300)]

SMALLEST = NetworkSpec(stages=[LMUStage(order=3, theta=6, units=12)])


class Killed(BaseException):
    """Stands for a signal that ends the process."""


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any]]:
    """Live events of the training itself."""
    events: list[tuple[str, Any]] = []
    monkeypatch.setattr(recorder, "publish", lambda channel, event, data, event_id=None: events.append((event, data)))
    return events


@pytest.fixture
def dataset(tones: RawData) -> Dataset:
    return dataset_of(tones)


@pytest.fixture
def optimize(alice: User, workspace: Workspace, project: Project, dataset: Dataset) -> Callable[..., Run]:
    def make(name: str, on: Dataset = dataset, initial_weights: Run | None = None, **changes: Any) -> Run:
        return services.create_run(
            workspace=workspace, user=alice, project=project, name=name, dataset=on,
            parameters=run_parameters(network=SMALLEST, **changes).model_dump(mode="json"),
            initial_weights=initial_weights,
        )  # fmt: skip

    return make


class Trial(Attempt):
    """An attempt that something happens to: `happen` is called whenever the engine asks whether to stop."""

    def __init__(self, run: Run, happen: Callable[[int], None] = lambda step: None) -> None:
        claimed = jobs.claim(Run, run.pk, "worker")
        assert claimed is not None
        super().__init__(claimed, threading.Event())
        self._happen = happen

    def should_stop(self) -> bool:
        self._happen(self.job.progress_done)
        return super().should_stop()

    def stop(self) -> None:
        self._stop.set()


def killed_at(step: int) -> Callable[[int], None]:
    def happen(now: int) -> None:
        if now >= step:
            raise Killed

    return happen


def lose_worker(run: Run, step: int) -> None:
    """Train up to a step and die there, before the checkpoint of that step is written."""
    attempt = Trial(run, killed_at(step))
    with pytest.raises(Killed):
        train.run(attempt)
    jobs.crashed(attempt.job, "The working process was ended.")


def curve(run: Run) -> list[tuple[str, int, float, float]]:
    points = run.metrics.order_by("step", "series")
    return list(points.values_list("series", "step", "loss", "accuracy"))


def log_of(run: Run) -> str:
    return "\n".join(LogLine.objects.filter(job_id=run.pk).values_list("text", flat=True))


def files_in(folder: str) -> list[str]:
    return sorted(default_storage.listdir(folder)[1])


def test_a_run_is_trained_judged_and_kept(optimize: Callable[..., Run], published: list[tuple[str, Any]]) -> None:
    run = optimize("whole")
    train.run(Trial(run))
    run.refresh_from_db()
    assert (run.state, run.progress_done, run.message) == (State.SUCCEEDED, 60, "")
    assert run.metrics.filter(series=Series.VALIDATION).count() == 3
    assert run.best_step in (20, 40, 60)
    assert run.training_seconds > 0
    assert files_in(f"{run.folder}/weights") == [f"{run.weights_sha256}.npz"]
    stored = storage.local_path(run.weights_name).read_bytes()
    assert hashlib.sha256(stored).hexdigest() == run.weights_sha256
    assert sum(len(data) for name, data in published if name == "metrics") == run.metrics.count()
    # No list of clips, no samples: what an attempt needs for itself is gone with it.
    assert not list(project_settings.FILE_UPLOAD_TEMP_DIR.iterdir())
    assert files_in(f"{run.folder}/checkpoint") == ["best.npz", "checkpoint.npz"]

    found = run.evaluation
    assert_detection_was_measured(run)
    matrix = np.zeros((4, 4), dtype=int)
    for prediction in run.predictions.select_related("clip"):
        matrix[prediction.label, prediction.predicted] += 1
        assert sum(prediction.scores) == pytest.approx(1, abs=1e-3)
        if run.labels[prediction.label] == "<silence>":
            assert prediction.clip.kind == ClipKind.NOISE
            assert prediction.offset + prediction.length <= prediction.clip.length
        else:
            assert prediction.clip.label == run.labels[prediction.label]
            assert prediction.clip.split == "test"
            assert (prediction.offset, prediction.length) == (0, SAMPLES)
    assert matrix.tolist() == found.confusion
    assert found.clips == matrix.sum() == 35
    assert found.accuracy == pytest.approx(np.trace(matrix) / matrix.sum())


def assert_detection_was_measured(run: Run) -> None:
    found = run.detection
    assert found.keywords == list(HEARD)
    assert found.spoken == [100, 100, 100]  # ten clips of each, ten times
    assert (found.keyword_clips, found.other_clips, found.refractory_ms) == (30, 0, 1000 * SAMPLES / RATE)
    assert [curve["smoothing_ms"] for curve in found.curves] == list(SMOOTHING_MS)
    for curve in found.curves:
        assert {len(curve[name]) for name in ("false_accepts", "most_per_hour", "misses")} == {len(THRESHOLDS)}
        assert np.shape(curve["misses"]) == (len(THRESHOLDS), len(HEARD))
    assert run.operating_point.model_dump() == found.suggestion


def test_a_run_that_was_killed_goes_on_as_if_nothing_had_happened(
    optimize: Callable[..., Run], published: list[tuple[str, Any]]
) -> None:
    whole, broken = optimize("whole"), optimize("broken")
    train.run(Trial(whole))
    lose_worker(broken, 40)
    assert broken.metrics.filter(step=40).exists()
    published.clear()
    train.run(Trial(broken))
    assert curve(broken) == curve(whole)
    assert ("rewind", {"step": 20}) in published
    broken.refresh_from_db()
    whole.refresh_from_db()
    assert broken.weights_sha256 == whole.weights_sha256
    assert broken.evaluation.confusion == whole.evaluation.confusion
    assert "Going on from the checkpoint at step 20." in log_of(broken)
    # A checkpoint beyond the one that it began from forgives what was before.
    assert broken.crashes == 0


def test_a_run_that_was_killed_before_its_first_checkpoint_begins_anew(
    optimize: Callable[..., Run], published: list[tuple[str, Any]]
) -> None:
    run = optimize("early")
    lose_worker(run, 20)
    assert run.metrics.exists()
    published.clear()
    train.run(Trial(run))
    assert published[0] == ("rewind", {"step": -1})
    assert [step for series, step, *_ in curve(run) if series == Series.VALIDATION] == [20, 40, 60]


def test_a_late_worker_writes_nothing(optimize: Callable[..., Run]) -> None:
    run = optimize("late")

    def take_away(step: int) -> None:
        if step == 40:
            Run.objects.filter(pk=run.pk).update(attempt=2)

    with pytest.raises(jobs.LeaseLost):
        train.run(Trial(run, take_away))
    run.refresh_from_db()
    assert (run.state, run.progress_done) == (State.RUNNING, 40)
    assert not run.metrics.filter(step__gt=40).exists()
    assert not run.predictions.exists()


def test_a_cancelled_run_keeps_its_best_weights_and_can_be_resumed(optimize: Callable[..., Run]) -> None:
    run = optimize("cancelled")
    attempt = Trial(run, lambda step: attempt.stop() if step >= 40 else None)
    with pytest.raises(Stopped):
        train.run(attempt)
    jobs.cancelled(attempt.job)
    run.refresh_from_db()
    assert (run.state, run.progress_done) == (State.CANCELLED, 40)
    assert default_storage.exists(run.weights_name)
    services.resume_run(run)
    train.run(Trial(run))
    run.refresh_from_db()
    assert run.state == State.SUCCEEDED
    assert [step for series, step, *_ in curve(run) if series == Series.VALIDATION] == [20, 40, 60]


def test_a_run_can_be_cancelled_while_its_detections_are_measured(
    optimize: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = optimize("measured")
    attempt = Trial(run)
    progress = attempt.progress

    def stop_there(*args: Any, **options: Any) -> None:
        progress(*args, **options)
        if "hours of audio" in attempt.job.message:
            attempt.stop()

    monkeypatch.setattr(attempt, "progress", stop_there)
    with pytest.raises(Stopped):
        train.run(attempt)
    assert not Detection.objects.filter(run=run).exists()
    assert not Evaluation.objects.filter(run=run).exists()


def test_a_run_begins_where_its_initial_weights_ended(optimize: Callable[..., Run]) -> None:
    first = optimize("first")
    train.run(Trial(first))
    first.refresh_from_db()
    following = optimize("following", initial_weights=first, steps=20)
    train.run(Trial(following))
    begin = following.metrics.get(series=Series.VALIDATION, step=0)
    assert begin.accuracy == first.best_accuracy
    assert "All weights are kept." in log_of(following)


def test_a_run_that_stopped_early_says_at_which_step(optimize: Callable[..., Run]) -> None:
    run = optimize("patient", learning_rate=0.3, validation_interval=5, early_stopping_patience=1)
    train.run(Trial(run))
    run.refresh_from_db()
    assert run.state == State.SUCCEEDED
    assert run.progress_done == run.metrics.order_by("-step")[0].step < run.settings.steps
    assert "Stopped early" in log_of(run)


def test_clips_are_resampled_beside_the_store(optimize: Callable[..., Run], tones: RawData) -> None:
    run = optimize("resampled", dataset_of(tones, sample_rate=16000), steps=20, mel_upper_edge_hertz=4000)
    train.run(Trial(run))
    run.refresh_from_db()
    assert run.state == State.SUCCEEDED
    assert files_in(f"{run.folder}/checkpoint") == ["best.npz", "checkpoint.npz"]
    silence = run.predictions.filter(label=0).select_related("clip")
    assert {prediction.length for prediction in silence} == {SAMPLES}


def test_a_run_outlives_a_database_that_hangs_up(optimize: Callable[..., Run], transactional_db: None) -> None:
    run = optimize("connected", steps=40)
    hung_up: list[int] = []

    def hang_up(step: int) -> None:
        if step == 20 and not hung_up:
            hung_up.append(connection.connection.info.backend_pid)
            other = connection.copy()
            with other.cursor() as cursor:
                cursor.execute("SELECT pg_terminate_backend(%s)", hung_up)
            other.close()

    train.run(Trial(run, hang_up))
    run.refresh_from_db()
    assert hung_up
    assert run.state == State.SUCCEEDED
    assert run.metrics.filter(series=Series.VALIDATION).count() == 2


def test_features_are_kept_for_the_next_run_and_dropped_when_nobody_comes(
    optimize: Callable[..., Run], home: Path
) -> None:
    """By the list of clips: runs on the same clips share them."""
    kept = home / "cache" / "features"
    old, lately = kept / "old", kept / "lately"
    for folder, age in ((old, 8), (lately, 6)):
        folder.mkdir(parents=True)
        os.utime(folder, (0, time.time() - age * 24 * 3600))
    for name in ("first", "second"):
        train.run(Trial(optimize(name, steps=20)))
    shared = [folder for folder in kept.iterdir() if folder != lately]
    assert not old.exists()
    assert lately.exists()
    assert [len(list(folder.iterdir())) for folder in shared] == [2]  # validation and test


# --- what it trains on ------------------------------------------------------------------------------------------------


def manifest_of(run: Run) -> manifest.Manifest:
    return train._manifest(Trial(run).job)  # type: ignore[arg-type]


def test_the_clips_of_a_run_are_listed_once(optimize: Callable[..., Run], tones: RawData) -> None:
    run = optimize("frozen")
    first = manifest_of(run)
    Clip.objects.filter(raw_data=tones).update(label="high")
    run.refresh_from_db()
    stored = storage.local_path(run.manifest_name).read_bytes()
    assert hashlib.sha256(stored).hexdigest() == run.manifest_sha256
    assert manifest.read_manifest(run) == first == json.loads(stored)


def test_a_list_of_clips_that_was_changed_is_refused(optimize: Callable[..., Run]) -> None:
    run = optimize("changed")
    manifest_of(run)
    run.refresh_from_db()
    storage.put_bytes(run.manifest_name, b"{}")
    with pytest.raises(EngineError, match="not as it was written"):
        manifest.read_manifest(run)


def test_noise_comes_from_other_raw_data(tones: RawData, tmp_path: Path) -> None:
    """At a rate of its own, and out of a pack of its own."""
    content = np.full(2 * NOISE_SECONDS * RATE, 1000, "<i2").tobytes()
    sha256 = hashlib.sha256(content).hexdigest()
    storage.put_bytes(f"raw/{sha256}.pcm", content)
    street = RawData.objects.create(
        workspace=tones.workspace, created_by=tones.created_by, name="Street", origin=Origin.RECORDED, noise_count=1,
        pack=f"raw/{sha256}.pcm", pack_sha256=sha256,
    )  # fmt: skip
    RawDataImport.objects.create(
        workspace=tones.workspace, raw_data=street, source=Source.PATH, state=State.SUCCEEDED,
        finished_at=timezone.now(),
    )  # fmt: skip
    Clip.objects.create(
        raw_data=street, name="hum.wav", label="_background_noise_", split="train", kind=ClipKind.NOISE, offset=0,
        length=2 * NOISE_SECONDS * RATE, sample_rate=2 * RATE, peak_dbfs=-30, rms_dbfs=-30,
    )  # fmt: skip
    own, foreign = dataset_of(tones), dataset_of(tones, noise=str(street.pk))
    data = manifest.training_data(foreign, manifest.make_manifest(foreign, foreign), tmp_path)
    assert data.noise.length.tolist() == [NOISE_SECONDS * RATE]
    assert data.noise.samples(0)[RATE:-RATE] == pytest.approx(1000, abs=2)
    silence = np.flatnonzero(data.train.label == data.labels.index("<silence>"))
    assert len(silence) == dict(foreign.counts)["<silence>"]["train"]
    assert all(np.median(data.train.samples(row)) == 1000 for row in silence)
    words = manifest.training_data(own, manifest.make_manifest(own, own), tmp_path)
    assert np.array_equal(data.train.samples(0), words.train.samples(0))


def test_missing_audio_is_told(optimize: Callable[..., Run], tones: RawData) -> None:
    default_storage.delete(tones.pack)
    with pytest.raises(EngineError, match="audio of “Tones” is not in the store"):
        train.run(Trial(optimize("deaf")))


def test_audio_that_was_cut_off_is_told(optimize: Callable[..., Run], tones: RawData) -> None:
    path = storage.local_path(tones.pack)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(EngineError, match="is damaged"):
        train.run(Trial(optimize("cut off")))
