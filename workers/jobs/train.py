"""Train a run and judge it: rows to clips, clips to weights, weights to results."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from django.conf import settings
from django.core.files.storage import default_storage
from django.db import transaction

from datasets_app import recipe
from datasets_app.models import AtRevision, Dataset
from datasets_app.revisions import DataRevision
from edgewise import storage
from edgewise.events.publish import publish, publish_job
from edgewise.jobs import services
from edgewise.jobs.models import Level
from edgewise.spec.dataset import SILENCE, SPLITS
from runs_app.models import Detection, Evaluation, Metric, Prediction, Run, Series
from workers.attempt import Attempt, Pace, Stopped
from workers.database import retrying
from workers.engine import checkpoints, events
from workers.engine.audio import resampled_pack
from workers.engine.data import Clips, TrainingData, cut_silence, generated_noise, join
from workers.engine.errors import EngineError
from workers.engine.evaluation import intervals, judge, probabilities
from workers.engine.weights import BEST, TrainedNetwork

if TYPE_CHECKING:
    from workers.engine.detection import Sweep

WRITE_SECONDS = 0.5
ROWS_AT_ONCE = 2000
SAMPLE_BYTES = 2
FEATURE_CACHE_SECONDS = 7 * 24 * 3600

Manifest = dict[str, Any]
Stretch = tuple[int, int, int]
"""Offset and length in samples, and the rate."""


def run(attempt: Attempt) -> None:
    """Train, or go on from the last checkpoint; then judge the best weights and find an operating point for them."""
    job = attempt.job
    assert isinstance(job, Run)
    attempt.progress(job.progress_done, job.settings.steps, "steps", "Preparing the clips", at_once=True)
    manifest = _manifest(job)
    with attempt.scratch_folder() as scratch:
        _train_and_judge(attempt, job, manifest, training_data(job.dataset, manifest, scratch))


def _train_and_judge(attempt: Attempt, job: Run, manifest: Manifest, data: TrainingData) -> None:
    folder = storage.working_folder(f"{job.folder}/checkpoint")
    cache = feature_cache(job)
    resumed = (folder / checkpoints.FILE).exists()
    initial = None if resumed else _initial(job)
    recorder = Recorder(attempt, folder)
    if job.attempt > 1 and not resumed:
        recorder.begin_anew()
    attempt.stop_if_asked()

    # Keras takes seconds to import: what can fail without it has failed by now.
    attempt.progress(job.progress_done, job.settings.steps, "steps", "Starting Keras", at_once=True)
    from workers.engine.inference import infer
    from workers.engine.training import train

    try:
        outcome = train(job.settings, data, folder, recorder, attempt.should_stop, initial, cache)
    finally:
        recorder.flush()
    if outcome.stopped:
        raise Stopped
    assert outcome.best is not None
    attempt.progress(outcome.step, job.settings.steps, "steps", "Judging on the test clips", at_once=True)
    logits = infer(outcome.best, data.test, cache)
    hits = int(np.sum(logits.argmax(axis=1) == data.test.label))
    attempt.log(f"Test: {hits} of {len(data.test)} clips are right.")
    sweep = _measure_detection(attempt, outcome.best, data, outcome.step)
    retrying(lambda: _finish(job, manifest, data, logits, sweep, outcome.step))


# --- clips ------------------------------------------------------------------------------------------------------------


def _manifest(job: Run) -> Manifest:
    """Return the list of the run's clips, made once: later changes of the data leave the run as it was."""
    if job.manifest_sha256:
        return read_manifest(job)
    manifest = make_manifest(job.dataset, job)
    content = json.dumps(manifest, separators=(",", ":")).encode()
    storage.put_bytes(job.manifest_name, content)
    job.manifest_sha256 = hashlib.sha256(content).hexdigest()
    retrying(lambda: services.write_fenced(job, manifest_sha256=job.manifest_sha256))
    return manifest


def read_manifest(job: Run) -> Manifest:
    """Read the stored list of a run's clips.

    Raises:
        EngineError: it is missing or damaged.
    """
    content = stored(job.manifest_name, job.manifest_sha256, "The list of the run's clips").read_bytes()
    if hashlib.sha256(content).hexdigest() != job.manifest_sha256:
        raise EngineError(
            "damaged-manifest",
            "The list of the run's clips is not as it was written.",
            "Restore the store from a backup, or start the run again as a new one.",
        )
    return dict(json.loads(content))


def make_manifest(dataset: Dataset, at: AtRevision) -> Manifest:
    """List a dataset's clips at the revisions of a run, a preview, or the dataset itself.

    Rows are id, offset, length and sample rate of each clip, and label and split of each that is no noise.
    """
    raw_data, noise_data = dataset.raw_data, dataset.noise_data
    data = DataRevision.of(dataset, at.revision)
    members = [
        [str(one.clip_id), one.offset, one.length, one.sample_rate, one.label, SPLITS.index(one.split)]
        for one in recipe.members(data, dataset.recipe)
    ]
    recordings = recipe.noise(DataRevision.of_noise(dataset, at.noise_revision), dataset.recipe)
    noise = [[str(clip.pk), clip.offset, clip.length, clip.sample_rate] for clip in recordings]
    counts = dict(recipe.label_counts(data, dataset.recipe))
    return {
        "pack": raw_data.pack,
        "sha256": raw_data.pack_sha256,
        "clips": sorted(members),
        "noise_pack": noise_data.pack,
        "noise_sha256": noise_data.pack_sha256,
        "noise": sorted(noise),
        "silence": counts.get(SILENCE, {}),
    }


def training_data(dataset: Dataset, manifest: Manifest, folder: Path) -> TrainingData:
    """Map the clips of a manifest into memory.

    Args:
        dataset: gives labels, rate and length of the clips.
        manifest: lists the clips.
        folder: takes the samples that are not in the pack: resampled clips, and noise where the data has none.

    Raises:
        EngineError: the samples are missing.
    """
    chosen = dataset.recipe
    clips, noise = manifest["clips"], manifest["noise"]
    pack = stored(manifest["pack"], manifest["sha256"], f"The audio of “{dataset.raw_data}”")
    table = mapped(pack, _stretches(clips), [row[4] for row in clips], chosen.sample_rate, folder)
    pack = stored(manifest["noise_pack"], manifest["noise_sha256"], f"The audio of “{dataset.noise_data}”")
    noises = mapped(pack, _stretches(noise), [0] * len(noise), chosen.sample_rate, folder)
    if not len(noises):
        noises = generated_noise(folder, chosen.sample_rate)
    splits = np.array([clip[5] for clip in clips])
    found = {name: table.select(np.flatnonzero(splits == index)) for index, name in enumerate(SPLITS)}
    if SILENCE in chosen.labels:
        label = chosen.labels.index(SILENCE)
        silence = cut_silence(noises, manifest["silence"], label, chosen.clip_samples, chosen.seed)
        found = {name: join(found[name], silence[name]) for name in SPLITS}
    return TrainingData(
        tuple(chosen.labels), chosen.sample_rate, chosen.clip_samples, found["train"], found["validation"],
        found["test"], noises,
    )  # fmt: skip


def feature_cache(job: Run) -> Path:
    """Return this machine's folder for features of the run's clips, and drop those that were not used for long.

    It is named by what decides which samples stand behind a row: the list of the clips, and the rate at which they are
    heard.
    """
    parent: Path = settings.CACHE_FOLDER / "features"
    folder = parent / f"{job.manifest_sha256}-{job.dataset.recipe.sample_rate}"
    folder.mkdir(parents=True, exist_ok=True)
    os.utime(folder)
    for other in parent.iterdir():
        if time.time() - other.stat().st_mtime > FEATURE_CACHE_SECONDS:
            shutil.rmtree(other, ignore_errors=True)
    return folder


def _stretches(rows: list[list[Any]]) -> list[Stretch]:
    return [(row[1], row[2], row[3]) for row in rows]


def mapped(pack: Path, stretches: list[Stretch], labels: list[int], sample_rate: int, folder: Path) -> Clips:
    """Make a table of stretches (offset, length, rate) of a pack, resampled into `folder` where a rate differs."""
    _require_samples(pack, stretches)
    places = [(offset, length) for offset, length, _ in stretches]
    if any(rate != sample_rate for _, _, rate in stretches):
        pack, places = resampled_pack(pack, stretches, sample_rate, folder)
    return Clips.of((pack,), [(0, *place, label) for place, label in zip(places, labels, strict=True)])


def _require_samples(pack: Path, stretches: list[Stretch]) -> None:
    needed = max((offset + length for offset, length, _ in stretches), default=0)
    there = pack.stat().st_size // SAMPLE_BYTES
    if there < needed:
        raise EngineError(
            "damaged-audio",
            f"The audio of the raw data is damaged: {there:,} of {needed:,} samples are in {pack.name}.",
            "Restore the store from a backup, or import the raw data again.",
        )


def _initial(job: Run) -> TrainedNetwork | None:
    earlier = job.initial_weights
    if earlier is None:
        return None
    return TrainedNetwork.load(
        stored(earlier.weights_name, earlier.weights_sha256, f"The file with the weights of “{earlier}”")
    )


def stored(name: str, sha256: str, what: str) -> Path:
    """Return a local copy of a stored file.

    Raises:
        EngineError: it is missing; `what` says in words what it is.
    """
    try:
        return storage.local_path(name, sha256)
    except FileNotFoundError as error:
        raise EngineError(
            "file-missing",
            f"{what} is not in the store any more ({name}).",
            "Restore the store from a backup.",
        ) from error


# --- what the engine reports ------------------------------------------------------------------------------------------


class Recorder:
    """Write what the engine reports to PostgreSQL, in batches, and tell everyone who watches.

    Every batch is one transaction that carries the attempt, and everything up to a checkpoint is written before the
    checkpoint is: so after a crash the curve has neither a gap nor a step twice.
    """

    def __init__(self, attempt: Attempt, folder: Path) -> None:
        self._attempt = attempt
        self._run: Run = attempt.job  # type: ignore[assignment]
        self._folder = folder
        self._points: list[Metric] = []
        self._changes: dict[str, Any] = {}
        self._written = time.monotonic()
        self._began = time.monotonic()
        self._seconds_before = self._run.training_seconds
        self._resumed_from = 0
        self._pace = Pace()

    def __call__(self, event: events.Event) -> None:
        """Take one event of the engine."""
        match event:
            case events.Compiling():
                done = self._run.progress_done
                self._attempt.progress(done, self._run.settings.steps, "steps", "Compiling", at_once=True)
            case events.Resumed(step):
                self._resumed_from = step
                self._rewind(step, f"Going on from the checkpoint at step {step:,}.")
            case events.Note(text):
                self._attempt.log(text)
            case events.TrainingProgress():
                self._train(event)
            case events.Validated():
                self._validate(event)
            case events.Saving():
                self.flush()
            case events.CheckpointSaved(step):
                storage.share_folder(f"{self._run.folder}/checkpoint", self._folder)
                self._forgive_crashes(step)

    def begin_anew(self) -> None:
        """Forget what an earlier attempt has written that left no checkpoint."""
        self._rewind(-1, "Beginning anew: there was no checkpoint yet.")

    def flush(self) -> None:
        """Write what has been gathered."""
        if not self._points:
            return
        self._changes |= {
            "progress_done": self._points[-1].step, "message": "", "rate": self._pace(self._points[-1].step),
            "training_seconds": self._seconds_before + time.monotonic() - self._began,
        }  # fmt: skip
        retrying(self._write)
        points = [_point(metric) for metric in self._points]
        publish(f"job:{self._run.pk}", "metrics", points, max(metric.pk for metric in self._points))
        for name, value in self._changes.items():
            setattr(self._run, name, value)
        publish_job(self._run)
        self._points, self._changes, self._written = [], {}, time.monotonic()

    def _write(self) -> None:
        with transaction.atomic():
            services.write_fenced(self._run, **self._changes)
            Metric.objects.bulk_create(
                self._points, update_conflicts=True, unique_fields=["run", "series", "step"],
                update_fields=["loss", "accuracy", "learning_rate", "steps_per_second"],
            )  # fmt: skip

    def _train(self, event: events.TrainingProgress) -> None:
        self._points.append(Metric(run=self._run, series=Series.TRAINING, **asdict(event)))
        if time.monotonic() - self._written >= WRITE_SECONDS:
            self.flush()

    def _validate(self, event: events.Validated) -> None:
        point = Metric(
            run=self._run, series=Series.VALIDATION, step=event.step, loss=event.loss, accuracy=event.accuracy
        )
        self._points.append(point)
        if event.best:
            self._changes |= {"best_step": event.step, "best_accuracy": event.accuracy}
            self._keep_weights()
        else:
            self.flush()
        mark = ", the best so far" if event.best else ""
        self._attempt.log(
            f"Step {event.step:,}: validation accuracy {event.accuracy:.2%}, loss {event.loss:.4f}{mark}."
        )

    def _keep_weights(self) -> None:
        """Store the best weights at once: whatever becomes of this run, they can be deployed.

        They are stored under their hash, and the row names the new ones before the old ones go: so wherever this is cut
        off, the row names weights that are there.
        """
        weights = (self._folder / BEST).read_bytes()
        before = self._run.weights_name if self._run.weights_sha256 else ""
        self._run.weights_sha256 = hashlib.sha256(weights).hexdigest()
        storage.put_bytes(self._run.weights_name, weights)
        self._changes["weights_sha256"] = self._run.weights_sha256
        self.flush()
        if before and before != self._run.weights_name:
            default_storage.delete(before)

    def _forgive_crashes(self, step: int) -> None:
        if self._run.crashes and step > self._resumed_from:
            retrying(lambda: services.write_fenced(self._run, crashes=0))
            self._run.crashes = 0

    def _rewind(self, step: int, why: str) -> None:
        retrying(partial(self._forget_after, step))
        publish(f"job:{self._run.pk}", "rewind", {"step": step})
        self._attempt.log(why, Level.WARNING)

    def _forget_after(self, step: int) -> None:
        done = max(step, 0)
        with transaction.atomic():
            services.write_fenced(self._run, progress_done=done)
            Metric.objects.filter(run=self._run, step__gt=step).delete()
        self._run.progress_done = done


def _point(metric: Metric) -> dict[str, Any]:
    return {
        "series": str(metric.series), "step": metric.step, "loss": metric.loss, "accuracy": metric.accuracy,
        "learning_rate": metric.learning_rate, "steps_per_second": metric.steps_per_second,
    }  # fmt: skip


# --- the end ----------------------------------------------------------------------------------------------------------


def _measure_detection(attempt: Attempt, network: TrainedNetwork, data: TrainingData, step: int) -> Sweep | None:
    """Measure false accepts and misses on long audio; None where the validation split has no keyword."""
    from workers.engine.detection import measure

    settings = attempt.job.settings  # type: ignore[attr-defined]

    def report(done: float, total: float) -> None:
        attempt.stop_if_asked()
        message = f"Measuring false accepts: {done:.1f} of {total:.1f} hours of audio"
        attempt.progress(step, settings.steps, "steps", message, at_once=True)

    sweep = measure(network, data, settings.seed, report)
    if sweep is None:
        attempt.log("There are no keywords among the validation clips: no operating point was measured.", Level.WARNING)
    return sweep


def _finish(job: Run, manifest: Manifest, data: TrainingData, logits: Any, sweep: Sweep | None, step: int) -> None:
    report = judge(logits, data.test.label, data.labels)
    spread = intervals(logits, data.test.label, len(data.labels))
    with transaction.atomic():
        services.succeed(job, message="", progress_done=step, **_store_detection(job, sweep))
        Evaluation.objects.update_or_create(
            run=job,
            defaults={
                "clips": report.clips,
                "accuracy": report.accuracy.value,
                "balanced_accuracy": report.balanced_accuracy,
                "loss": report.loss,
                "confusion": report.confusion.tolist(),
                "report": {
                    "intervals": {
                        "accuracy": [report.accuracy.low, report.accuracy.high],
                        **{name: [interval.low, interval.high] for name, interval in spread.items()},
                    },
                    "labels": [asdict(label) for label in report.labels],
                },
            },
        )
        job.predictions.all().delete()
        Prediction.objects.bulk_create(_predictions(job, manifest, data, logits), batch_size=ROWS_AT_ONCE)


def _store_detection(job: Run, sweep: Sweep | None) -> dict[str, Any]:
    """Write what was measured and return the operating point for the run's row."""
    if sweep is None:
        Detection.objects.filter(run=job).delete()
        return {"threshold": None, "smoothing_ms": None}
    suggestion = sweep.suggestion().model_dump()
    Detection.objects.update_or_create(
        run=job,
        defaults={
            "seconds": sweep.seconds,
            "keyword_clips": sweep.keyword_clips,
            "other_clips": sweep.other_clips,
            "refractory_ms": sweep.refractory_ms,
            "keywords": list(sweep.keywords),
            "spoken": sweep.spoken.tolist(),
            "curves": [
                {
                    "smoothing_ms": curve.smoothing_ms,
                    "false_accepts": curve.false_accepts.tolist(),
                    "most_per_hour": [round(rate, 3) for rate in sweep.highest_rates(curve).tolist()],
                    "misses": curve.misses.tolist(),
                }
                for curve in sweep.curves
            ],
            "suggestion": suggestion,
        },
    )
    return suggestion


def _predictions(job: Run, manifest: Manifest, data: TrainingData, logits: Any) -> list[Prediction]:
    """Trace each test clip back to its recording; silence is a stretch of a noise recording."""
    rows = []
    for index, (label, scores) in enumerate(zip(data.test.label, probabilities(logits), strict=True)):
        source, offset, length = recording(manifest, data, data.test, index)
        if source is not None:
            rows.append(
                Prediction(
                    run=job,
                    clip_id=source,
                    offset=offset,
                    length=length,
                    label=int(label),
                    predicted=int(scores.argmax()),
                    scores=[round(float(score), 5) for score in scores],
                )
            )
    return rows


def recording(manifest: Manifest, data: TrainingData, clips: Clips, row: int) -> tuple[str | None, int, int]:
    """Return the recording, and the stretch of it (at its own rate), that a row of one of the splits is.

    There is no recording behind generated noise.
    """
    origin = int(clips.origin[row])
    if data.labels[clips.label[row]] != SILENCE:
        clip = manifest["clips"][origin]
        return clip[0], 0, clip[2]
    if not manifest["noise"]:
        return None, 0, 0
    noise = manifest["noise"][origin]
    scale = noise[3] / data.sample_rate
    offset = int((clips.offset[row] - data.noise.offset[origin]) * scale)
    return noise[0], offset, int(clips.length[row] * scale)
