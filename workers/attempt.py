"""What the body of a job may do with its row: report, be stopped, succeed or fail. Every write carries the attempt."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings

from edgewise.jobs import services
from edgewise.jobs.models import Job, Level
from edgewise.jobs.registry import job_models
from workers.database import retrying

REPORT_SECONDS = 0.5


class Pace:
    """Measure progress per second since work began to advance, which is later than the attempt's begin."""

    def __init__(self) -> None:
        self._unit: str | None = None
        self._first, self._begin = 0, 0.0

    def __call__(self, done: int, unit: str = "") -> float | None:
        """Take a report; return the rate, or None where nothing has advanced yet."""
        now = time.monotonic()
        if unit != self._unit or done <= self._first:
            self._unit, self._first, self._begin = unit, done, now
            return None
        return (done - self._first) / max(1e-3, now - self._begin)


class Stopped(Exception):
    """The worker asked the body to stop, because a user cancelled the job or the worker ends."""


def scratch_path(job: Job) -> Path:
    """Return where attempts at a job keep what nobody needs after them."""
    folder: Path = settings.FILE_UPLOAD_TEMP_DIR
    return folder / f"{job.KIND}-{job.pk}"


@contextmanager
def _temporary_files_in(folder: Path) -> Iterator[None]:
    before = os.environ.get("TMPDIR")
    os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = None
        if before is None:
            del os.environ["TMPDIR"]
        else:
            os.environ["TMPDIR"] = before


class Attempt:
    """One attempt at one job."""

    def __init__(self, job: Job, stop: threading.Event) -> None:
        self.job = job
        self._stop = stop
        self._reported = 0.0
        self._pace = Pace()

    @classmethod
    def load(cls, kind: str, job_id: uuid.UUID, number: int, stop: threading.Event) -> Attempt:
        """Read the job's row.

        Raises:
            LeaseLost: another attempt has begun.
        """
        job = retrying(lambda: job_models()[kind]._default_manager.get(pk=job_id))
        if job.attempt != number:
            raise services.LeaseLost
        return cls(job, stop)

    def should_stop(self) -> bool:
        """Whether the worker asked to stop."""
        return self._stop.is_set()

    def stop_if_asked(self) -> None:
        """Leave the body where the worker asked to.

        Raises:
            Stopped: it did.
        """
        if self.should_stop():
            raise Stopped

    def progress(self, done: int, total: int, unit: str, message: str = "", *, at_once: bool = False) -> None:
        """Report how far the job is; written at most twice a second, unless `at_once`.

        Raises:
            LeaseLost: another attempt has begun.
        """
        now = time.monotonic()
        rate = self._pace(done, unit)
        if at_once or done == total or now - self._reported >= REPORT_SECONDS:
            self._reported = now
            retrying(
                lambda: services.record_progress(
                    self.job, done=done, total=total, unit=unit, message=message, rate=rate
                )
            )

    def log(self, text: str, level: str = Level.INFO) -> None:
        """Add a line to the job's log.

        Raises:
            LeaseLost: another attempt has begun.
        """
        retrying(lambda: services.write_fenced_log(self.job, text, level))

    def write(self, **values: Any) -> None:
        """Write values to the job's row.

        Raises:
            LeaseLost: another attempt has begun.
        """
        retrying(lambda: services.write_fenced(self.job, **values))

    @contextmanager
    def scratch_folder(self) -> Iterator[Path]:
        """Give an empty local folder until the block ends; temporary files, also of programs started here, lie there.

        What an attempt leaves that is killed, its worker removes, or else the next attempt.
        """
        folder = scratch_path(self.job)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        try:
            with _temporary_files_in(folder):
                yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def succeed(self, **results: Any) -> None:
        """End well; `results` are written to the row."""
        retrying(lambda: services.succeed(self.job, **results))

    def fail(self, code: str, reason: str, remedy: str) -> None:
        """End with a reason and a remedy."""
        retrying(lambda: services.fail(self.job, code=code, reason=reason, remedy=remedy))
