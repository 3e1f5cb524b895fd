"""How a worker does a job: claim the row, run one child process, watch it, settle what it leaves.

The child imports TensorFlow, the worker never does: the child's memory goes with it, and killing it is safe. While the
child works, the worker renews the lease and looks for a wish to cancel. A child that dies without a word gives its job
back to the queue, and the next attempt goes on from the last checkpoint.

    child's end                         the job
    wrote its result or its failure     over
    asked to stop (cancel)              cancelled; the child has two seconds
    asked to stop (worker shuts down)   interrupted → queued
    killed, or crashed in native code   interrupted → queued; failed for good after `MAX_CRASHES` without a checkpoint
    killed twice for lack of memory     failed, with that reason (`MAX_MEMORY_KILLS`)
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction

from edgewise.jobs import services
from edgewise.jobs.models import ENDED, Job, Level, State
from edgewise.jobs.registry import job_models
from workers.attempt import scratch_path
from workers.database import retrying

log = logging.getLogger(__name__)

POLL_SECONDS = 0.2
RENEW_SECONDS = 3.0
CANCEL_SECONDS = 1.2
SHUT_DOWN_SECONDS = 8.0
LAST_WORDS_SECONDS = 2.0
LINES_OF_LOG = 40

shutting_down = threading.Event()


def shut_down(**_: Any) -> None:
    """Let running children save their work and give their jobs back, because the worker ends."""
    shutting_down.set()


def run(kind: str, job_id: str) -> None:
    """Do one job, if it still waits to be done."""
    if shutting_down.is_set():
        # Left in the outbox, for another worker.
        return
    job = retrying(lambda: services.claim(job_models()[kind], uuid.UUID(job_id), _name()))
    if job is None:
        log.info("nothing to do for %s %s", kind, job_id)
        return
    try:
        _attempt(job)
    except services.LeaseLost:
        log.warning("%s %s was taken from this worker", kind, job_id)


def _attempt(job: Job) -> None:
    killed_before = _kills_for_memory()
    child = _spawn(job)
    tail = _Tail(child)
    try:
        _watch(job, child)
    finally:
        _stop(child, 0)
    # Not for ever: a process that the child has started may still hold its output.
    tail.join(LAST_WORDS_SECONDS)
    _settle(job, child.returncode, tail.text, out_of_memory=_kills_for_memory() > killed_before)


def _spawn(job: Job) -> subprocess.Popen[bytes]:
    # Only training can do without TensorFlow: artifacts are in its formats.
    backend = settings.TRAINING_BACKEND if job.KIND == "train" else "tensorflow"
    # The child lives as long as its standard input is open, so it never survives this process.
    return subprocess.Popen(
        [sys.executable, "-m", "workers.child", job.KIND, str(job.pk), str(job.attempt)],
        env={
            "TF_CPP_MIN_LOG_LEVEL": "2",
            "ZIG_GLOBAL_CACHE_DIR": str(settings.CACHE_FOLDER / "zig"),
            **os.environ,
            "KERAS_BACKEND": backend,
        },
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        # A group of its own: compilers and emulators that it has started end with it.
        start_new_session=True,
    )


def _watch(job: Job, child: subprocess.Popen[bytes]) -> None:
    """Return when the child has ended, by itself or because it was stopped."""
    renewed = time.monotonic()
    while child.poll() is None:
        if shutting_down.is_set():
            return _stop(child, SHUT_DOWN_SECONDS)
        if retrying(lambda: _cancel_requested(job)):
            return _stop(child, CANCEL_SECONDS)
        if time.monotonic() - renewed > RENEW_SECONDS:
            if not retrying(lambda: services.renew(job)):
                # A child that has ended its job still tells the watchers and tidies up.
                return _stop(child, SHUT_DOWN_SECONDS if retrying(lambda: _is_over(job)) else 0)
            renewed = time.monotonic()
        try:
            child.wait(POLL_SECONDS)
        except subprocess.TimeoutExpired:
            continue
    return None


def _cancel_requested(job: Job) -> bool:
    rows = type(job)._default_manager.filter(pk=job.pk, attempt=job.attempt, cancel_requested=True)
    return rows.exists()


def _is_over(job: Job) -> bool:
    return type(job)._default_manager.filter(pk=job.pk, attempt=job.attempt, state__in=ENDED).exists()


def _stop(child: subprocess.Popen[bytes], patience: float) -> None:
    """Ask the child to end, if there is time for that, and kill what is left of it and of all that it has started."""
    if child.poll() is None and patience:
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(patience)
        except subprocess.TimeoutExpired:
            log.info("the child did not stop within %s s and is killed", patience)
    # macOS refuses, where nothing of the group is alive.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def _settle(job: Job, exit_code: int, output: str, *, out_of_memory: bool) -> None:
    """Bring the row to a state that fits the child's end, unless the child has done so itself."""
    present = retrying(lambda: type(job)._default_manager.get(pk=job.pk))
    if present.attempt != job.attempt or not (present.ended or present.state == State.RUNNING):
        return
    shutil.rmtree(scratch_path(job), ignore_errors=True)
    if present.ended:
        # Once more: the child may have died after it had ended its job and before it had told anybody.
        retrying(lambda: services.announce(present))
    elif present.cancel_requested:
        retrying(lambda: services.cancelled(present))
    elif shutting_down.is_set():
        retrying(lambda: services.interrupt(present, "The worker was stopped."))
    elif exit_code >= 0:
        retrying(lambda: _fail_with_output(present, exit_code, output))
    else:
        killed_for_memory = out_of_memory and exit_code == -signal.SIGKILL
        why = "for lack of memory" if killed_for_memory else f"by signal {_signal_name(-exit_code)}"
        text = f"The working process was ended {why}."
        retrying(lambda: services.crashed(present, text, out_of_memory=killed_for_memory))


def _fail_with_output(job: Job, exit_code: int, output: str) -> None:
    with transaction.atomic():
        if output:
            services.write_fenced_log(job, output, Level.ERROR)
        services.fail(
            job,
            code="internal",
            reason=f"The working process ended with status {exit_code} before it had finished.",
            remedy="This is a fault of Edgewise: the log has the details. Resume the job, or report it with the log.",
        )


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # real-time signals have no names
        return str(number)


def _kills_for_memory() -> int:
    """Count the processes that the kernel has killed for lack of memory (Linux; elsewhere always 0)."""
    counters = Path("/proc/vmstat")
    if not counters.exists():
        return 0
    lines = (line.split() for line in counters.read_text().splitlines())
    return next((int(value) for name, value in lines if name == "oom_kill"), 0)


def _name() -> str:
    return f"{socket.gethostname()}/{threading.get_native_id()}"


class _Tail(threading.Thread):
    """Pass a child's output on to the worker's log and keep its last lines."""

    def __init__(self, child: subprocess.Popen[bytes]) -> None:
        super().__init__(daemon=True)
        self._child = child
        self._lines: list[str] = []
        self.start()

    def run(self) -> None:
        """Read until the child closes its output."""
        assert self._child.stdout is not None
        for line in self._child.stdout:
            text = line.decode(errors="replace").rstrip()
            sys.stderr.write(text + "\n")
            self._lines = [*self._lines[-LINES_OF_LOG:], text]

    @property
    def text(self) -> str:
        """The last lines."""
        return "\n".join(self._lines)
