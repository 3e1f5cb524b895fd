"""Processes are known by more than their number, and strays are ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgewise.launcher import processes

SLEEP = "import signal; signal.signal(signal.SIGINT, signal.SIG_DFL); print('up', flush=True); signal.pause()"
SLEEPER = [sys.executable, "-c", SLEEP]


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(SLEEPER, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


def test_birth_is_fixed_for_life_and_gone_after_it(sleeper: subprocess.Popen[str]) -> None:
    birth = processes.birth_of(sleeper.pid)
    assert birth is not None
    assert processes.birth_of(sleeper.pid) == birth
    assert processes.birth_of(os.getpid()) != birth
    sleeper.kill()
    sleeper.wait()
    assert processes.birth_of(sleeper.pid) is None


def test_a_recorded_stray_is_ended_by_its_own_signal(sleeper: subprocess.Popen[str], tmp_path: Path) -> None:
    processes.record(tmp_path, "sleeper", sleeper.pid, signal.SIGINT)
    assert processes.end_strays(tmp_path, tmp_path) == ["sleeper"]
    assert sleeper.wait() == -signal.SIGINT
    assert list(tmp_path.glob("*.json")) == []


def test_another_process_with_the_same_number_is_left_alone(sleeper: subprocess.Popen[str], tmp_path: Path) -> None:
    entry = {"pid": sleeper.pid, "birth": "long ago", "signal": int(signal.SIGKILL)}
    (tmp_path / "sleeper.json").write_text(json.dumps(entry))
    assert processes.end_strays(tmp_path, tmp_path) == []
    assert sleeper.poll() is None


def test_children_of_children_are_known_by_their_mark(tmp_path: Path) -> None:
    environment = {**os.environ, processes.MARK: str(tmp_path)}
    with subprocess.Popen(SLEEPER, stdout=subprocess.PIPE, env=environment) as marked:
        assert marked.stdout is not None
        marked.stdout.readline()
        assert processes.end_strays(tmp_path, tmp_path / "another home") == []
        assert processes.end_strays(tmp_path, tmp_path) == [f"process {marked.pid}"]
        assert marked.wait() == -signal.SIGKILL
