"""Programs of others that run what was compiled: emulators and interpreters."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from workers.engine.errors import EngineError

MOST_SECONDS = 500.0


class TakesTooLong(Exception):
    """The program may well work, but nobody would wait for its end; the text says so in half a sentence."""


def run_program(command: Sequence[str], folder: Path) -> None:
    """Run a program in `folder`.

    Raises:
        TakesTooLong: it does not end in time.
        EngineError: it is not there, or fails.
    """
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, errors="replace", check=False, timeout=MOST_SECONDS
        )
    except subprocess.TimeoutExpired as error:
        raise TakesTooLong(f"{command[0]} takes longer than {MOST_SECONDS:g} s for it") from error
    except OSError as error:
        raise _failed(command[0], f"could not be started: {error.strerror}") from error
    if done.returncode:
        raise _failed(command[0], f"stopped with {done.returncode}: {done.stderr.strip()[-500:]}")


def _failed(program: str, why: str) -> EngineError:
    return EngineError(
        "program-failed", f"{program}, which runs what was compiled, {why}", "Try again, or report it with the log."
    )
