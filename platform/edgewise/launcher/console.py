"""What the launcher says: progress lines on standard error, and failures as one clear line.

Standard output belongs to the command (the JSON object of `demo --json`, the report of `doctor`).
"""

from __future__ import annotations

import errno
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

# A silent minute looks like a hang: long steps say again how long they have been running.
REMINDER_SECONDS = 15.0


class Failure(Exception):
    """Stops the command with one line for the user: what failed, why, and what to do."""


def say(line: str) -> None:
    """Print one progress line."""
    print(line, file=sys.stderr, flush=True)


def describe_os_error(error: OSError) -> str | None:
    """Return the line for an error that only the user can mend (full disk, no permission), else None."""
    place = f" at {error.filename}" if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"The disk is full{place}: free some space (the environment alone needs 3 GB) and start again."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"No permission to write{place}: give your user that folder, or set EDGEWISE_HOME to one that you own."
    return None


def run_step(title: str, command: Iterable[str | Path], *, environment: Mapping[str, str] | None = None) -> str:
    """Run one long command under a progress line and return its output (stdout and stderr together).

    Raises:
        subprocess.CalledProcessError: it ended with another status than 0; `output` has all it printed.
    """
    say(f"{title} ...")
    begin = time.monotonic()
    arguments = [str(part) for part in command]
    with subprocess.Popen(
        arguments,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        env=environment,
    ) as process:
        while True:
            try:
                output, _ = process.communicate(timeout=REMINDER_SECONDS)
                break
            except subprocess.TimeoutExpired:
                say(f"{title} ... {time.monotonic() - begin:.0f} s")
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, arguments, output)
    return output
