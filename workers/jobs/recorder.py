"""What the engine reports while it trains, as rows and as live events."""

from __future__ import annotations

import hashlib
import time
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from django.core.files.storage import default_storage
from django.db import transaction

from edgewise import storage
from edgewise.events.publish import publish, publish_job
from edgewise.jobs import services
from edgewise.jobs.models import Level
from runs_app.models import Metric, Run, Series
from workers.attempt import Attempt, Pace
from workers.database import retrying
from workers.engine import events
from workers.engine.weights import BEST

WRITE_SECONDS = 0.5


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
