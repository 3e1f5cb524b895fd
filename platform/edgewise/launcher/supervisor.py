"""The supervisor: starts programs, keeps them running, and stops them in the reverse order of their start.

One thread, one loop. Signals only wake the loop up, so that nothing happens between two statements that belong
together. It is the parent of every program, and the programs cannot outlive it (leash.py).
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, TracebackType

from edgewise.launcher import leash, processes
from edgewise.launcher.accounts import Account
from edgewise.launcher.console import Failure, say
from edgewise.launcher.paths import CHECKOUT, Home

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
POLL_SECONDS = 0.05
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
# A program that ran this long was healthy: its next death starts the pauses afresh.
HEALTHY_SECONDS = 60.0
LARGEST_LOG_BYTES = 10_000_000


class Stopped(Exception):
    """The user asked to stop (Ctrl-C, SIGTERM, a closed terminal)."""


def _nothing() -> None:
    pass


@dataclass(frozen=True)
class Program:
    """One program to keep running.

    Args:
        name: names it in messages and its log.
        command: absolute path of the executable and its arguments.
        environment: its whole environment.
        stage: programs stop stage by stage, the highest first.
        title: what people call it.
        prepare: called before each start.
        is_ready: whether it answers, by its own protocol.
        ready_seconds: how long it may take until then.
        stop_signal: asks it to end.
        stop_seconds: how long it may take to do so before it is killed.
        orphan_signal: what the kernel sends it when the launcher is killed.
        account: the user it runs as, when that is not the launcher's.
    """

    name: str
    command: Sequence[str | Path]
    environment: Mapping[str, str]
    stage: int
    title: str
    prepare: Callable[[], None] = _nothing
    is_ready: Callable[[], bool] | None = None
    ready_seconds: float = 60.0
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 10.0
    orphan_signal: signal.Signals = signal.SIGKILL
    account: Account | None = None


@dataclass
class _Child:
    program: Program
    process: subprocess.Popen[bytes]
    started: float
    failures: int = 0
    restart_at: float | None = field(default=None)


class Supervisor:
    """Keeps the programs of one home running; a context manager that stops all of them at its end."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._records = home.run / "processes"
        self._children: list[_Child] = []
        self._stop_requested = False
        self._foreground: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Supervisor:
        self._wakeup_read, self._wakeup_write = os.pipe()
        for descriptor in (self._wakeup_read, self._wakeup_write):
            os.set_blocking(descriptor, False)
        self._old_wakeup = signal.set_wakeup_fd(self._wakeup_write, warn_on_full_buffer=False)
        handlers = {**dict.fromkeys(STOP_SIGNALS, self._on_stop_signal), signal.SIGCHLD: _ignore}
        self._old_handlers = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
        for number, handler in self._old_handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._old_wakeup)
        os.close(self._wakeup_read)
        os.close(self._wakeup_write)

    def end_strays(self) -> None:
        """End what a killed launcher of this home left running. Needs the home's lock."""
        for name in processes.end_strays(self._records, self._home.path):
            say(f"Ended {name}, left running by a launcher that was killed.")

    def start(self, program: Program) -> None:
        """Start a program without waiting until it answers."""
        self._children.append(_Child(program, self._spawn(program), time.monotonic()))

    def start_and_wait(self, program: Program) -> None:
        """Start a program and wait until it answers."""
        self.start(program)
        self.wait_until_ready(program)

    def wait_until_ready(self, program: Program) -> None:
        """Wait until a started program answers.

        Raises:
            Failure: it ended again and again, or did not answer in its time.
        """
        assert program.is_ready is not None
        deadline = time.monotonic() + program.ready_seconds
        while not program.is_ready():
            child = self._child(program)
            if child.failures >= 3 or time.monotonic() > deadline:
                state = (
                    "ended again and again" if child.failures else f"gave no answer in {program.ready_seconds:.0f} s"
                )
                raise Failure(f"{program.title} {state}: {self._last_line(program)} (log: {self._log(program)}).")
            self.wait(POLL_SECONDS)

    def run(self, command: Sequence[str | Path], environment: Mapping[str, str]) -> int:
        """Run a command in the foreground, programs kept running meanwhile, and return its exit status."""
        leashed = self._leashed(command, signal.SIGKILL, Account.current())
        self._foreground = subprocess.Popen(leashed, env=dict(environment), cwd=CHECKOUT)
        try:
            while (status := self._foreground.poll()) is None:
                self._pass_time(None)
        finally:
            self._foreground = None
        return status if status >= 0 else 128 - status

    def wait(self, seconds: float | None = None) -> None:
        """Keep the programs running for some time, or until something happens.

        Raises:
            Stopped: the user asked to stop.
        """
        self.raise_if_stopped()
        self._pass_time(seconds)
        self.raise_if_stopped()

    def raise_if_stopped(self) -> None:
        """Raise Stopped if the user asked to stop, for instance while a command ran in the foreground."""
        if self._stop_requested:
            raise Stopped

    def run_forever(self) -> None:
        """Keep the programs running until the user asks to stop (raises Stopped)."""
        while True:
            self.wait()

    # --- the loop -----------------------------------------------------------------------------------------------------

    def _on_stop_signal(self, number: int, frame: FrameType | None) -> None:
        self._stop_requested = True
        # A terminal sends SIGINT to the command itself; the others come to us alone.
        if self._foreground is not None and number != signal.SIGINT:
            self._foreground.send_signal(signal.SIGTERM)

    def _pass_time(self, seconds: float | None) -> None:
        pauses = [child.restart_at - time.monotonic() for child in self._children if child.restart_at is not None]
        limits = [limit for limit in (seconds, *pauses) if limit is not None]
        select.select([self._wakeup_read], [], [], max(0.0, min(limits)) if limits else None)
        with contextlib.suppress(BlockingIOError):
            os.read(self._wakeup_read, 4096)
        self._look_after_children()

    def _look_after_children(self) -> None:
        now = time.monotonic()
        for child in self._children:
            if child.restart_at is None and child.process.poll() is not None:
                self._schedule_restart(child, now)
            elif child.restart_at is not None and now >= child.restart_at:
                child.process, child.started, child.restart_at = self._spawn(child.program), now, None

    def _schedule_restart(self, child: _Child, now: float) -> None:
        processes.kill_group(child.process.pid)
        child.failures = 1 if now - child.started > HEALTHY_SECONDS else child.failures + 1
        pause = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** (child.failures - 1))
        child.restart_at = now + pause
        say(f"{child.program.title} {_how_it_ended(child.process.returncode)}; starting it again in {pause:g} s.")

    def _spawn(self, program: Program) -> subprocess.Popen[bytes]:
        program.prepare()
        self._rotate_log(program)
        account = program.account or Account.current()
        with open(self._log(program), "ab") as log:
            process = subprocess.Popen(
                self._leashed(program.command, program.orphan_signal, account),
                env={**program.environment, processes.MARK: str(self._home.path)},
                cwd="/" if program.account else CHECKOUT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        processes.record(self._records, program.name, process.pid, program.stop_signal)
        return process

    @staticmethod
    def _leashed(command: Sequence[str | Path], orphan_signal: signal.Signals, account: Account) -> list[str]:
        arguments = (int(orphan_signal), account.uid, account.gid, os.getpid(), *command)
        return [sys.executable, "-I", "-S", leash.__file__, *(str(argument) for argument in arguments)]

    # --- stopping -----------------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """Stop all programs and wait until they are gone."""
        for stage in sorted({child.program.stage for child in self._children}, reverse=True):
            members = [child for child in self._children if child.program.stage == stage]
            for child in members:
                if child.process.poll() is None:
                    child.process.send_signal(child.program.stop_signal)
            for child in members:
                self._finish(child)
        self._children.clear()

    def _finish(self, child: _Child) -> None:
        try:
            child.process.wait(child.program.stop_seconds)
        except subprocess.TimeoutExpired:
            say(f"{child.program.title} did not stop in {child.program.stop_seconds:g} s: killed.")
            child.process.kill()
            child.process.wait()
        processes.kill_group(child.process.pid)
        processes.forget(self._records, child.program.name)

    # --- logs ---------------------------------------------------------------------------------------------------------

    def _log(self, program: Program) -> Path:
        return self._home.logs / f"{program.name}.log"

    def _rotate_log(self, program: Program) -> None:
        log = self._log(program)
        if log.exists() and log.stat().st_size > LARGEST_LOG_BYTES:
            log.replace(log.with_suffix(".log.1"))

    def _last_line(self, program: Program) -> str:
        with open(self._log(program), "rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - 4096))
            lines = log.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it printed nothing"

    def _child(self, program: Program) -> _Child:
        return next(child for child in self._children if child.program is program)


def _ignore(number: int, frame: FrameType | None) -> None:
    """Only the wake-up matters: without a handler Python would not write to the pipe."""


def _how_it_ended(status: int) -> str:
    if status < 0:
        return f"was killed by {signal.Signals(-status).name}"
    return f"ended with status {status}"
