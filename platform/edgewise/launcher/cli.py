"""The command line: one function for each command."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edgewise.launcher import programs
from edgewise.launcher.console import Failure, describe_os_error, say
from edgewise.launcher.engines import (
    Running,
    child_environment,
    engines_owned,
    engines_running,
    refuse_second_up,
)
from edgewise.launcher.environment import ensure_environment, enter_environment
from edgewise.launcher.paths import CHECKOUT, Home
from edgewise.launcher.ports import require_free_port
from edgewise.launcher.supervisor import Stopped, Supervisor

LIGHT_THREADS = 2


@dataclass(frozen=True)
class Command:
    """One command.

    Args:
        summary: its line in the help.
        run: does it, inside the environment; returns the exit status.
        check: looks at the arguments and at what would stop the command at once, before anything slow.
        needs_development: whether it needs the tools of developers too.
    """

    summary: str
    run: Callable[[Home, list[str]], int]
    check: Callable[[Home, list[str]], object] = lambda home, arguments: None
    needs_development: bool = False


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
    except KeyboardInterrupt:
        say("Stopped.")
        return 130
    return 1


def _run(command: Command, name: str, arguments: list[str]) -> int:
    home = Home.from_environment()
    command.check(home, arguments)
    home.create()
    if Path(sys.prefix).resolve() != home.venv.resolve():
        enter_environment(ensure_environment(home, development=command.needs_development), [name, *arguments])
    return command.run(home, arguments)


def _help() -> str:
    width = max(map(len, COMMANDS))
    lines = (f"  {name:{width}}  {command.summary}" for name, command in COMMANDS.items())
    return "usage: ./edgewise COMMAND …\n\n" + "\n".join(lines) + "\n\n./edgewise COMMAND --help tells more about one."


# -- up -----------------------------------------------------------------------------------------------------------------


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
    address = f"http://{options.bind}:{options.port}"
    has_workers = not options.no_workers
    with Supervisor(home) as supervisor:
        try:
            with engines_owned(home, supervisor, "up", has_workers=has_workers, address=address) as running:
                environment = child_environment(home, running)
                _prepare(supervisor, environment)
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


def _prepare(supervisor: Supervisor, environment: dict[str, str]) -> None:
    """Bring database and static files to this version, and make the first administrator."""
    say("Preparing the database and the pages ...")
    for command in (
        ["migrate", "--noinput", "--verbosity", "0"],
        ["ensure_first_administrator"],
        ["collectstatic", "--noinput", "--verbosity", "0"],
    ):
        _manage_or_fail(supervisor, environment, command)


def _manage_or_fail(supervisor: Supervisor, environment: dict[str, str], command: list[str]) -> None:
    status = supervisor.run([sys.executable, CHECKOUT / "manage.py", *command], environment)
    supervisor.raise_if_stopped()
    if status:
        raise Failure(f"`./edgewise manage {command[0]}` ended with status {status}: its message is above.")


# -- commands of Django ---------------------------------------------------------------------------------------------------


@contextmanager
def _django(home: Home, command: str, *, needs_workers: bool = False) -> Iterator[tuple[Supervisor, dict[str, str]]]:
    """Yield a supervisor and the environment of Django, with engines, and workers where they are needed."""
    with Supervisor(home) as supervisor, engines_running(home, supervisor, command, has_workers=needs_workers) as running:
        environment = child_environment(home, running)
        if needs_workers:
            _manage_or_fail(supervisor, environment, ["migrate", "--noinput", "--verbosity", "0"])
            _start_missing_workers(home, supervisor, running, environment)
        yield supervisor, environment


def _start_missing_workers(
    home: Home, supervisor: Supervisor, running: Running, environment: dict[str, str]
) -> None:
    if running.has_workers and running.pid != os.getpid():
        return
    say("Starting the workers ...")
    for program in programs.workers(home, environment, LIGHT_THREADS):
        supervisor.start(program)


def _manage(home: Home, arguments: list[str]) -> int:
    with _django(home, "manage") as (supervisor, environment):
        return supervisor.run([sys.executable, CHECKOUT / "manage.py", *arguments], environment)


def _import_speech_commands(home: Home, arguments: list[str]) -> int:
    with _django(home, "import-speech-commands", needs_workers=True) as (supervisor, environment):
        command = [sys.executable, CHECKOUT / "manage.py", "import_speech_commands", *arguments]
        return supervisor.run(command, environment)


def _demo(home: Home, arguments: list[str]) -> int:
    with _django(home, "demo", needs_workers=True) as (supervisor, environment):
        return supervisor.run([sys.executable, CHECKOUT / "manage.py", "demo", *arguments], environment)


# -- types of arguments -----------------------------------------------------------------------------------------------------


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
    "import-speech-commands": Command("import an archive or folder in the Speech Commands layout", _import_speech_commands),
    "manage": Command("Django's own commands, such as `manage migrate` or `manage shell`", _manage),
}
