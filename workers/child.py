"""The process that does one attempt at one job: `python -m workers.child KIND ID ATTEMPT`."""

from __future__ import annotations

import os
import signal
import sys
import threading
import uuid
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workers.attempt import Attempt

BODIES = {
    "import_raw_data": "workers.jobs.import_raw_data",
    "preview_speech": "workers.jobs.preview_speech",
    "train": "workers.jobs.train",
    "preview_examples": "workers.jobs.preview_examples",
    "map_clips": "workers.jobs.map_clips",
    "build_artifact": "workers.jobs.build_artifact",
}
"""Module of each kind of job. Its `run(attempt)` does the work."""

STOPPED = 75


def main(kind: str, job_id: str, number: str) -> int:
    """Do the attempt; the exit status is 0 also where the job failed for a reason that was written down."""
    _die_with_parent()
    stop = threading.Event()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: stop.set())

    import django

    django.setup()
    from edgewise.jobs import services
    from workers.attempt import Attempt, Stopped

    try:
        _do(Attempt.load(kind, uuid.UUID(job_id), int(number), stop), import_module(BODIES[kind]).run)
    except Stopped:
        return STOPPED
    except services.LeaseLost:
        sys.stderr.write("another worker has this job now\n")
    return 0


def _do(attempt: Attempt, body: Callable[[Attempt], None]) -> None:
    """Do the work, and write down what people can mend; every other failure ends this process with its traceback."""
    from workers.engine.errors import EngineError
    from workers.jobs.stored import DISK_FULL

    try:
        body(attempt)
    except EngineError as error:
        attempt.fail(error.code, error.reason, error.remedy)
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        attempt.fail("disk-full", "The worker's disk is full.", "Free some space on it, then press Resume.")


def _die_with_parent() -> None:
    """End, with all that was started here, when standard input ends: the worker holds its other side and has died."""

    def wait() -> None:
        os.read(0, 1)
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=wait, daemon=True).start()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
