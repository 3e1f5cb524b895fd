"""The command line says in one line what is wrong, and helps without an environment."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgewise.launcher import cli
from edgewise.launcher.console import describe_os_error
from edgewise.launcher.engines import Running
from edgewise.launcher.paths import CHECKOUT, Home


def run(*arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    """Run the launcher as a user would; only for what must end before an environment is made."""
    environment = {**os.environ, "EDGEWISE_HOME": str(home)}
    command = [sys.executable, CHECKOUT / "edgewise", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def test_help_lists_every_command_and_needs_nothing(tmp_path: Path) -> None:
    completed = run("--help", home=tmp_path / "home")
    assert completed.returncode == 0
    assert all(name in completed.stdout for name in cli.COMMANDS)
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["fly"], "There is no command `fly`: up, "),
        (["up", "--port", "99999"], "is no port: give a number from 1 to 65535"),
        (["up", "--workers", "0"], "give a whole number of at least 1"),
        (["up", "--bind", "203.0.113.7"], "--bind 203.0.113.7 is not an address of this machine"),
        (["test", "everything"], "invalid choice: 'everything'"),
    ],
)
def test_a_wrong_argument_is_told_before_anything_slow(arguments: list[str], words: str, tmp_path: Path) -> None:
    completed = run(*arguments, home=tmp_path / "home")
    assert completed.returncode in (1, 2)
    assert words in completed.stderr
    assert "Traceback" not in completed.stderr
    assert not (tmp_path / "home").exists()


def test_a_second_up_tells_the_address_of_the_first(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.create()
    first = Running(4711, "up", "postgresql://", "unix://", has_workers=True, address="http://127.0.0.1:8000")
    (home.run / "engines.json").write_text(json.dumps(vars(first)))
    with open(home.run / "engines.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        completed = run("up", home=tmp_path)
    assert completed.returncode == 1
    told = (
        "Edgewise already runs at http://127.0.0.1:8000 (process 4711): open that address. "
        "To start it with other options (with workers, say), stop it with Ctrl-C where it runs, or by `kill 4711`, "
        "then start it again."
    )
    assert completed.stderr == f"{told}\n"


def test_a_wrong_python_is_one_line() -> None:
    script = str(CHECKOUT / "edgewise")
    code = f"import runpy, sys; sys.version_info = (3, 10, 2); runpy.run_path({script!r})"
    completed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert completed.returncode == 1
    assert completed.stderr.startswith("Edgewise needs Python 3.11, 3.12 or 3.13, and this is 3.10: ")
    assert completed.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("number", "words"),
    [(errno.ENOSPC, "The disk is full"), (errno.EACCES, "No permission to write"), (errno.EROFS, "No permission")],
)
def test_what_only_the_user_can_mend_is_one_line(
    number: int, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def fail(home: Home) -> None:
        raise OSError(number, os.strerror(number), str(home.path))

    monkeypatch.setenv("EDGEWISE_HOME", str(tmp_path))
    monkeypatch.setattr(Home, "create", fail)
    assert cli.main(["manage", "check"]) == 1
    line = capsys.readouterr().err
    assert line.startswith(words)
    assert str(tmp_path) in line
    assert line.count("\n") == 1


def test_other_errors_of_the_system_are_not_hidden() -> None:
    assert describe_os_error(OSError(errno.EIO, "input/output error")) is None
