"""Following a job on a terminal: a bar where somebody looks, plain lines elsewhere. Always on standard error."""

from __future__ import annotations

import sys
import time
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from edgewise.jobs.models import Job

J = TypeVar("J", bound=Job)

POLL_SECONDS = 0.3
LINE_SECONDS = 5.0


def follow(job: J, title: str) -> J:
    """Wait until the job has ended, showing how far it is; return its row."""
    return _with_bar(job, title) if sys.stderr.isatty() else _with_lines(job, title)


def _with_bar(job: J, title: str) -> J:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bar = progress.add_task(title, total=None)
        while True:
            job.refresh_from_db()
            description = f"{title}: {job.message or job.state}"
            progress.update(bar, description=description, completed=job.progress_done, total=job.progress_total or None)
            if job.ended:
                return job
            time.sleep(POLL_SECONDS)


def _with_lines(job: J, title: str) -> J:
    said, due = "", 0.0
    while True:
        job.refresh_from_db()
        line = _line(job, title)
        if line != said and (job.ended or time.monotonic() > due):
            sys.stderr.write(line + "\n")
            sys.stderr.flush()
            said, due = line, time.monotonic() + LINE_SECONDS
        if job.ended:
            return job
        time.sleep(POLL_SECONDS)


def _line(job: Job, title: str) -> str:
    total = f" / {job.progress_total:,}" if job.progress_total else ""
    done = f"{job.progress_done:,}{total} {job.progress_unit}" if job.progress_done else job.state
    return f"{title}: {done}" + (f" ({job.message})" if job.message else "")
