"""`./edgewise test`: all tests or one kind, on engines of their own and never on the user's data. So are benches."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgewise.launcher.browser import ensure_browser
from edgewise.launcher.checks import run_checks
from edgewise.launcher.console import Failure, say
from edgewise.launcher.engines import child_environment, engines_running
from edgewise.launcher.environment import ensure_client_environment
from edgewise.launcher.paths import CHECKOUT, Home, locked
from edgewise.launcher.supervisor import Supervisor

KINDS = ("unit", "integration", "client", "browser")
_TESTS = CHECKOUT / "tests"


def run_tests(home: Home, kind: str | None, pytest_arguments: list[str]) -> int:
    """Run the tests of one kind, or the source checks and all tests; return the exit status.

    Args:
        home: the user's; the tests get one of their own inside it.
        kind: one of KINDS, None for all.
        pytest_arguments: handed on.

    Raises:
        Failure: what the asked kind needs cannot be had.
    """
    wanted = [kind] if kind else [name for name in KINDS if (_TESTS / name).is_dir()]
    additions: dict[str, str] = {}
    if "client" in wanted:
        additions["EDGEWISE_CLIENT_PYTHON"] = str(ensure_client_environment(home))
    if "browser" in wanted:
        browser = ensure_browser()
        if isinstance(browser, Path):
            additions["EDGEWISE_CHROMIUM"] = str(browser)
        elif kind:
            raise Failure(f"The browser tests cannot run: {browser}.")
        else:
            say(f"Skipped the browser tests: {browser}.")
            wanted.remove("browser")

    with throwaway_engines(home, "test") as (supervisor, engines):
        environment = {**engines, **additions}
        is_clean = kind is not None or run_checks(environment)
        # Named folders would have their fixtures, and TensorFlow, loaded by the process that only shares out the tests.
        left_out = [f"--ignore={_TESTS / name}" for name in KINDS if name not in wanted]
        status = supervisor.run([sys.executable, "-m", "pytest", _TESTS, *left_out, *pytest_arguments], environment)
    return status or int(not is_clean)


@contextmanager
def throwaway_engines(home: Home, command: str) -> Iterator[tuple[Supervisor, dict[str, str]]]:
    """Yield a supervisor and the environment of Django with empty engines, of which nothing is left afterwards."""
    with (
        _temporary_home(home) as own,
        Supervisor(own) as supervisor,
        engines_running(own, supervisor, command) as running,
    ):
        yield supervisor, child_environment(own, running)


@contextmanager
def _temporary_home(home: Home) -> Iterator[Home]:
    """Yield an empty home inside the user's, and remove it and those of test runs that were killed."""
    parent = home.path / "test"
    parent.mkdir(mode=0o711, exist_ok=True)
    with locked(home.run / "test.lock"):
        for left in parent.iterdir():
            with _locked(left) as is_ours:
                if is_ours:
                    remove_home(Home(left))
        test_home = Home(Path(tempfile.mkdtemp(dir=parent)))
        in_use = contextlib.ExitStack()
        in_use.enter_context(_locked(test_home.path))
    with in_use:
        test_home.create()
        try:
            yield test_home
        finally:
            remove_home(test_home)


@contextmanager
def _locked(folder: Path) -> Iterator[bool]:
    """Yield whether the folder could be locked: whether no living test run uses it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield True
    except BlockingIOError:
        yield False
    finally:
        os.close(descriptor)


def remove_home(home: Home) -> None:
    """Remove a home with the folders outside of it that it links to (see postgresql.py and socket_folder)."""
    for link in (home.postgres / "socket", home.redis / "socket", home.postgres):
        if link.is_symlink() and link.exists():
            shutil.rmtree(link.readlink())
    shutil.rmtree(home.path)
