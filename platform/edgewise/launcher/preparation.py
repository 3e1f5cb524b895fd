"""What Django does before it serves: the database and the static files are brought to this version."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from itertools import chain

from edgewise.launcher.console import Failure, say
from edgewise.launcher.environment import stamp_path
from edgewise.launcher.paths import CHECKOUT, Home, locked
from edgewise.launcher.supervisor import Supervisor


def prepare(home: Home, supervisor: Supervisor, environment: Mapping[str, str]) -> None:
    """Migrate the database, make the first administrator, and collect the static files where they changed.

    Raises:
        Failure: one of these failed; it has told why.
        SystemExit: a setting is wrong; it has told which.
        Stopped: the user asked to stop.
    """
    migrate(home, supervisor, environment)
    manage_or_fail(supervisor, environment, "ensure_first_administrator")
    if not _static_files_are_current(home):
        say("Collecting the static files ...")
        manage_or_fail(supervisor, environment, "collectstatic", "--noinput", "--verbosity", "0")


def migrate(home: Home, supervisor: Supervisor, environment: Mapping[str, str]) -> None:
    """Bring the database to this version; two commands of one home never do so at once."""
    say("Preparing the database ...")
    with locked(home.run / "migrate.lock"):
        manage_or_fail(supervisor, environment, "migrate", "--noinput", "--verbosity", "0")


def manage_command(*arguments: str) -> list[str]:
    """The command line of one of Django's commands."""
    return [sys.executable, str(CHECKOUT / "manage.py"), *arguments]


def manage_or_fail(supervisor: Supervisor, environment: Mapping[str, str], *arguments: str) -> None:
    """Run one of Django's commands, which must succeed."""
    status = supervisor.run(manage_command(*arguments), environment)
    supervisor.raise_if_stopped()
    if status == os.EX_CONFIG:
        # It has told in one line which setting is wrong.
        raise SystemExit(status)
    if status:
        raise Failure(f"`./edgewise manage {arguments[0]}` ended with status {status}: its message is above.")


def _static_files_are_current(home: Home) -> bool:
    """Whether the manifest, which is written last, is newer than all that it is made from."""
    manifest = home.path / "static" / "staticfiles.json"
    if not manifest.exists():
        return False
    project = CHECKOUT / "platform" / "edgewise"
    sources = chain(
        (CHECKOUT / "frontend" / "static").rglob("*"),
        (project / "settings.py", project / "static.py", stamp_path(home.venv)),
    )
    return manifest.stat().st_mtime > max(source.stat().st_mtime for source in sources)
