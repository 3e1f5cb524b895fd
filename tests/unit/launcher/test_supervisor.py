"""The supervisor with real small programs: they are kept running, and they never outlive it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from edgewise.launcher import processes
from edgewise.launcher.console import Failure
from edgewise.launcher.paths import CHECKOUT, Home
from edgewise.launcher.supervisor import Program, Stopped, Supervisor

PAUSE = "import signal; signal.pause()"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    home.create()
    return home


def announcing(home: Home, name: str, *, stage: int = 0, tail: str = PAUSE) -> Program:
    """A program that appends its process id to a file and then waits; ready when the file is there."""
    code = f"import os; open({str(ids_file(home, name))!r}, 'a').write(f'{{os.getpid()}}\\n'); {tail}"
    return Program(
        name=name,
        title=name.capitalize(),
        command=[sys.executable, "-c", code],
        environment=dict(os.environ),
        stage=stage,
        is_ready=lambda: bool(ids(home, name)),
        ready_seconds=20.0,
    )


def ids_file(home: Home, name: str) -> Path:
    return home.path / f"{name}.ids"


def ids(home: Home, name: str) -> list[int]:
    path = ids_file(home, name)
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def test_a_killed_program_is_started_again(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    with Supervisor(home) as supervisor:
        supervisor.start_and_wait(announcing(home, "clerk"))
        os.kill(ids(home, "clerk")[0], signal.SIGKILL)
        while len(ids(home, "clerk")) < 2:
            supervisor.wait(1.0)
    first, second = ids(home, "clerk")
    assert first != second
    assert processes.birth_of(second) is None, "the context manager stops it"
    assert "Clerk was killed by SIGKILL; starting it again in 0.5 s." in capsys.readouterr().err


def test_a_program_that_keeps_dying_is_one_line_with_its_last_words(home: Home) -> None:
    program = announcing(home, "clerk", tail="raise SystemExit('the ink is dry')")
    hopeless = Program(**{**vars(program), "is_ready": lambda: False})
    with Supervisor(home) as supervisor, pytest.raises(Failure, match="Clerk ended again and again: the ink is dry"):
        supervisor.start_and_wait(hopeless)


def test_programs_stop_from_the_highest_stage_down(home: Home) -> None:
    order = home.path / "order"
    with Supervisor(home) as supervisor:
        for name, stage in (("engine", 0), ("worker", 2), ("clock", 1)):
            tail = (
                "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: "
                f"(open({str(order)!r}, 'a').write({name!r} + ' '), sys.exit())); {PAUSE}"
            )
            code = f"{tail.partition(PAUSE)[0]} open({str(ids_file(home, name))!r}, 'w').write('1'); {PAUSE}"
            program = announcing(home, name, stage=stage)
            supervisor.start_and_wait(Program(**{**vars(program), "command": [sys.executable, "-c", code]}))
    assert order.read_text().split() == ["worker", "clock", "engine"]


def test_the_status_of_a_command_in_the_foreground_is_handed_on(home: Home) -> None:
    with Supervisor(home) as supervisor:
        assert supervisor.run([sys.executable, "-c", "raise SystemExit(7)"], os.environ) == 7
        killed = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
        assert supervisor.run([sys.executable, "-c", killed], os.environ) == 128 + signal.SIGKILL


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_stop_ends_the_wait(home: Home, number: signal.Signals) -> None:
    with Supervisor(home) as supervisor:
        supervisor.start_and_wait(announcing(home, "clerk"))
        os.kill(os.getpid(), number)
        with pytest.raises(Stopped):
            supervisor.run_forever()
    assert processes.birth_of(ids(home, "clerk")[0]) is None


def test_programs_die_with_a_killed_launcher(home: Home, tmp_path: Path) -> None:
    code = textwrap.dedent("""
        import os, sys
        from pathlib import Path
        from edgewise.launcher.paths import Home
        from edgewise.launcher.supervisor import Program, Supervisor
        command = [sys.executable, "-c", "import signal; print('up', flush=True); signal.pause()"]
        home = Home(Path(sys.argv[1]))
        log = home.logs / "clerk.log"
        clerk = Program("clerk", command, dict(os.environ), 0, "Clerk", is_ready=lambda: "up" in log.read_text())
        with Supervisor(home) as supervisor:
            supervisor.start_and_wait(clerk)
            print("ready", flush=True)
            supervisor.run_forever()
    """)
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT / "platform")}
    command = [sys.executable, "-c", code, str(home.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as launcher:
        assert launcher.stdout is not None
        assert launcher.stdout.readline() == "ready\n"
        marked = list(processes._marked(home.path))
        assert len(marked) == 1
        launcher.kill()
    assert processes.wait_until(lambda: processes.birth_of(marked[0]) is None, 10.0)
