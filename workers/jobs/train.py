"""Train a run and judge it: rows to clips, clips to weights, weights to results."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from django.conf import settings
from django.db import transaction

from edgewise import storage
from edgewise.jobs import services
from edgewise.jobs.models import Level
from runs_app.models import Detection, Evaluation, Prediction, Run
from workers.attempt import Attempt, Stopped
from workers.database import retrying
from workers.engine import checkpoints
from workers.engine.data import TrainingData
from workers.engine.evaluation import intervals, judge, probabilities
from workers.engine.weights import TrainedNetwork
from workers.jobs.manifest import Manifest, make_manifest, read_manifest, recording, training_data
from workers.jobs.recorder import Recorder
from workers.jobs.stored import stored

if TYPE_CHECKING:
    from workers.engine.detection import Sweep

ROWS_AT_ONCE = 2000
FEATURE_CACHE_SECONDS = 7 * 24 * 3600


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


def _initial(job: Run) -> TrainedNetwork | None:
    earlier = job.initial_weights
    if earlier is None:
        return None
    return TrainedNetwork.load(
        stored(earlier.weights_name, earlier.weights_sha256, f"The file with the weights of “{earlier}”")
    )


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
