"""The command line: one function for each command."""

from __future__ import annotations

import argparse
import enum
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edgewise.launcher import programs
from edgewise.launcher.checks import run_checks
from edgewise.launcher.console import Failure, describe_os_error, say
from edgewise.launcher.doctor import examine, report
from edgewise.launcher.engines import (
    Running,
    child_environment,
    engines_owned,
    engines_running,
    refuse_second_up,
)
from edgewise.launcher.environment import ensure_environment, enter_environment, environment_is_current
from edgewise.launcher.paths import Home
from edgewise.launcher.ports import require_free_port
from edgewise.launcher.preparation import manage_command, migrate, prepare
from edgewise.launcher.supervisor import Stopped, Supervisor
from edgewise.launcher.testing import KINDS, run_tests, throwaway_engines

LIGHT_THREADS = 2


class Environment(enum.Enum):
    """The packages that a command needs."""

    RUNTIME = enum.auto()
    DEVELOPMENT = enum.auto()
    # It runs without, and uses the environment where there is one.
    IF_THERE = enum.auto()


@dataclass(frozen=True)
class Command:
    """One command.

    Args:
        summary: its line in the help.
        run: does it, inside the environment; returns the exit status.
        check: looks at the arguments and at what would stop the command at once, before anything slow.
        environment: which packages it needs.
    """

    summary: str
    run: Callable[[Home, list[str]], int]
    check: Callable[[Home, list[str]], object] = lambda home, arguments: None
    environment: Environment = Environment.RUNTIME


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    name, *rest = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    try:
        if name in ("-h", "--help", "help"):
            print(_help())
            return 0
        if name not in COMMANDS:
            raise Failure(f"There is no command `{name}`: {', '.join(COMMANDS)} (see ./edgewise --help).")
        return _run(COMMANDS[name], name, rest)
    except Failure as failure:
        say(str(failure))
    except OSError as error:
        line = describe_os_error(error)
        if line is None:
            raise
        say(line)
    except (KeyboardInterrupt, Stopped):
        say("Stopped.")
        return 130
    return 1


def _run(command: Command, name: str, arguments: list[str]) -> int:
    home = Home.from_environment()
    command.check(home, arguments)
    home.create()
    is_inside = Path(sys.prefix).resolve() == home.venv.resolve()
    if not is_inside and (command.environment is not Environment.IF_THERE or environment_is_current(home)):
        python = ensure_environment(home, development=command.environment is Environment.DEVELOPMENT)
        enter_environment(python, [name, *arguments])
    return command.run(home, arguments)


def _help() -> str:
    width = max(map(len, COMMANDS))
    lines = (f"  {name:{width}}  {command.summary}" for name, command in COMMANDS.items())
    return "usage: ./edgewise COMMAND …\n\n" + "\n".join(lines) + "\n\n./edgewise COMMAND --help tells more about one."


# --- up ---------------------------------------------------------------------------------------------------------------


def _up_arguments(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./edgewise up", description="Start everything; Ctrl-C stops all of it.")
    parser.add_argument("--port", type=_port, default=8000, help="port of the web (default: %(default)s)")
    parser.add_argument("--bind", default="127.0.0.1", help="address of the web; 0.0.0.0: all of this machine's")
    workers = parser.add_mutually_exclusive_group()
    workers.add_argument(
        "--workers",
        type=_positive,
        default=LIGHT_THREADS,
        metavar="N",
        help="imports, checks and artifacts that are made at once (default: %(default)s); training is always one run",
    )
    workers.add_argument("--no-workers", action="store_true", help="the web alone; workers run elsewhere")
    return parser.parse_args(arguments)


def _check_up(home: Home, arguments: list[str]) -> None:
    options = _up_arguments(arguments)
    refuse_second_up(home)
    require_free_port(options.bind, options.port)


def _up(home: Home, arguments: list[str]) -> int:
    begin = time.monotonic()
    options = _up_arguments(arguments)
    address = programs.local_address(options.bind, options.port)
    has_workers = not options.no_workers
    with Supervisor(home) as supervisor:
        try:
            with engines_owned(home, supervisor, "up", has_workers=has_workers, address=address) as running:
                environment = child_environment(home, running)
                prepare(home, supervisor, environment)
                say("Starting the web and the workers ..." if has_workers else "Starting the web ...")
                web = programs.web(environment, options.bind, options.port)
                supervisor.start(web)
                if has_workers:
                    for program in programs.workers(home, environment, options.workers):
                        supervisor.start(program)
                supervisor.wait_until_ready(web)
                say(f"Edgewise is ready at {address} ({time.monotonic() - begin:.1f} s). Ctrl-C stops it.")
                supervisor.run_forever()
        except Stopped:
            say("Stopped.")
    return 0


# --- commands of Django -----------------------------------------------------------------------------------------------


@contextmanager
def _django(home: Home, command: str, *, needs_workers: bool = False) -> Iterator[tuple[Supervisor, dict[str, str]]]:
    """Yield a supervisor and the environment of Django, with engines, and workers where they are needed."""
    with (
        Supervisor(home) as supervisor,
        engines_running(home, supervisor, command, has_workers=needs_workers) as running,
    ):
        environment = child_environment(home, running)
        if needs_workers:
            migrate(home, supervisor, environment)
            _start_missing_workers(home, supervisor, running, environment)
        yield supervisor, environment


def _start_missing_workers(home: Home, supervisor: Supervisor, running: Running, environment: dict[str, str]) -> None:
    if running.has_workers and running.pid != os.getpid():
        return
    say("Starting the workers ...")
    for program in programs.workers(home, environment, LIGHT_THREADS):
        supervisor.start(program)


def _manage(home: Home, arguments: list[str]) -> int:
    with _django(home, "manage") as (supervisor, environment):
        return supervisor.run(manage_command(*arguments), environment)


def _import_speech_commands(home: Home, arguments: list[str]) -> int:
    with _django(home, "import-speech-commands", needs_workers=True) as (supervisor, environment):
        return supervisor.run(manage_command("import_speech_commands", *arguments), environment)


def _demo(home: Home, arguments: list[str]) -> int:
    with _django(home, "demo", needs_workers=True) as (supervisor, environment):
        return supervisor.run(manage_command("demo", *arguments), environment)


# --- commands of developers and operators -----------------------------------------------------------------------------


def _test_arguments(arguments: list[str]) -> tuple[str | None, list[str]]:
    cut = arguments.index("--") if "--" in arguments else len(arguments)
    parser = argparse.ArgumentParser(
        prog="./edgewise test",
        description="Run the checks of the source and all tests, or one kind.",
        epilog="What follows -- goes to pytest, such as `./edgewise test unit -- -k lmu`.",
    )
    parser.add_argument("kind", nargs="?", choices=[*KINDS, "lint"], help="default: all")
    return parser.parse_args(arguments[:cut]).kind, arguments[cut + 1 :]


def _test(home: Home, arguments: list[str]) -> int:
    kind, pytest_arguments = _test_arguments(arguments)
    if kind == "lint":
        return _lint(home, pytest_arguments)
    return run_tests(home, kind, pytest_arguments)


def _lint_arguments(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./edgewise lint", description="Check the source.")
    parser.add_argument("--fix", action="store_true", help="format, and mend what can be mended, before")
    return parser.parse_args(arguments)


def _lint(home: Home, arguments: list[str]) -> int:
    # Django's settings want addresses; nothing connects to them.
    nowhere = Running(os.getpid(), "lint", database_url="postgresql://localhost/none", redis_url="redis://localhost")
    return 0 if run_checks(child_environment(home, nowhere), fix=_lint_arguments(arguments).fix) else 1


def _bench(home: Home, arguments: list[str]) -> int:
    with throwaway_engines(home, "bench") as (supervisor, environment):
        return supervisor.run([sys.executable, "-m", "workers.bench", *arguments], environment)


def _doctor(home: Home, arguments: list[str]) -> int:
    argparse.ArgumentParser(prog="./edgewise doctor", description="Tell how each part is.").parse_args(arguments)
    return report(examine(home))


# --- types of arguments -----------------------------------------------------------------------------------------------


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: give a number from 1 to 65535")
    return int(text)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: give a whole number of at least 1 (or --no-workers)")
    return int(text)


COMMANDS = {
    "up": Command("start everything and print the address; Ctrl-C stops all of it", _up, _check_up),
    "demo": Command("the main job without a browser: import, dataset, run, results, artifact.zip", _demo),
    "import-speech-commands": Command(
        "import an archive or folder in the Speech Commands layout", _import_speech_commands
    ),
    "manage": Command("Django's own commands, such as `manage migrate` or `manage shell`", _manage),
    "test": Command(
        "all tests, or one kind: unit, integration, client, browser, lint",
        _test,
        lambda home, arguments: _test_arguments(arguments),
        Environment.DEVELOPMENT,
    ),
    "lint": Command(
        "check the source; --fix formats it",
        _lint,
        lambda home, arguments: _lint_arguments(arguments),
        Environment.DEVELOPMENT,
    ),
    "bench": Command(
        "how fast and accurate everything is, beside its peers: features, ingest, training, accuracy and more",
        _bench,
        environment=Environment.DEVELOPMENT,
    ),
    "doctor": Command("each part with its version, state and remedy", _doctor, environment=Environment.IF_THERE),
}
