"""Processes by identity: records of what was started, and the end of what a killed launcher left behind.

A process id alone names nobody, for it is given again. A record therefore keeps the id with the moment of birth; on
Linux, children of children are known by a mark in their environment.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from edgewise.launcher.paths import write_whole

# Set for every supervised process, inherited by what it starts; the value is the home.
MARK = "EDGEWISE_SUPERVISED"

GRACE_SECONDS = 10.0
_PROC = Path("/proc")


def birth_of(pid: int) -> str | None:
    """When the process was started, in a form that two processes with one id never share; None when there is none."""
    if sys.platform == "linux":
        try:
            # The name, in parentheses, may hold anything; state and start are fields 1 and 20 after it (proc(5)).
            fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return None
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        return None if fields[0] == "Z" else f"{boot}:{fields[19]}"
    return _ps("lstart", pid) or None


def name_of(pid: int) -> str:
    """The name of the program that a process runs, empty when there is no such process."""
    if sys.platform == "linux":
        try:
            return (_PROC / str(pid) / "comm").read_text().strip()
        except (FileNotFoundError, ProcessLookupError):
            return ""
    return Path(_ps("comm", pid)).name


def record(folder: Path, name: str, pid: int, stop_signal: int) -> None:
    """Note a started process, so that a later launcher can find it."""
    folder.mkdir(mode=0o700, exist_ok=True)
    write_whole(folder / f"{name}.json", json.dumps({"pid": pid, "birth": birth_of(pid), "signal": int(stop_signal)}))


def forget(folder: Path, name: str) -> None:
    """Drop the record of a process that has ended."""
    (folder / f"{name}.json").unlink(missing_ok=True)


def end_strays(folder: Path, home: Path) -> list[str]:
    """End the processes that an earlier launcher of this home left running, and return their names.

    Only call this while holding the home's lock: everything recorded or marked is then nobody's.
    """
    ended = []
    for path in sorted(folder.glob("*.json")):
        entry = json.loads(path.read_text(encoding="utf-8"))
        if entry["birth"] is not None and birth_of(entry["pid"]) == entry["birth"]:
            _end(entry["pid"], entry["birth"], entry["signal"])
            ended.append(path.stem)
        path.unlink()
    for pid in list(_marked(home)):
        birth = birth_of(pid)
        if birth is not None:
            _end(pid, birth, signal.SIGKILL)
            ended.append(f"process {pid}")
    return ended


def kill_group(pid: int) -> None:
    """Kill what is left of the process group that the process led."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Look again and again until the condition holds or the time is over; return whether it holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _ps(column: str, pid: int) -> str:
    completed = subprocess.run(["ps", "-o", f"{column}=", "-p", str(pid)], stdout=subprocess.PIPE, text=True)
    return completed.stdout.strip()


def _end(pid: int, birth: str, stop_signal: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, stop_signal)
    if not wait_until(lambda: birth_of(pid) != birth, GRACE_SECONDS):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: birth_of(pid) != birth, GRACE_SECONDS)


def _marked(home: Path) -> Iterator[int]:
    """Ids of the processes that carry this home's mark; our own process never does."""
    mark = f"{MARK}={home}".encode()
    for entry in _PROC.glob("[0-9]*"):
        try:
            environment = (entry / "environ").read_bytes()
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue  # ended meanwhile, or another user's: not ours
        if mark in environment.split(b"\0"):
            yield int(entry.name)
