"""The user that PostgreSQL runs as when the launcher runs as root, which PostgreSQL refuses to do."""

from __future__ import annotations

import os
import pwd
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from edgewise.launcher.console import Failure


@dataclass(frozen=True)
class Account:
    """A user and a group, by number."""

    uid: int
    gid: int

    @classmethod
    def current(cls) -> Account:
        """The launcher's own."""
        return cls(os.geteuid(), os.getegid())

    def can_enter(self, folder: Path) -> bool:
        """Whether a process of this account can reach what lies in the folder."""
        completed = subprocess.run(
            ["/bin/sh", "-c", 'test -x "$0"', str(folder)], user=self.uid, group=self.gid, extra_groups=[], cwd="/"
        )
        return completed.returncode == 0

    def require_existence(self) -> None:
        """Find out whether root may become this account.

        Raises:
            Failure: there is no such number here, as in a container of an ordinary user to which no others are given.
        """
        try:
            with tempfile.TemporaryFile() as file:
                os.fchown(file.fileno(), self.uid, self.gid)
        except OSError:
            raise Failure(
                "PostgreSQL does not run as root, and this root cannot become another user: start Edgewise as an "
                f"ordinary user, or give this container more user ids (it takes {self.uid})."
            ) from None


# Number without a name: nothing need be added to the machine's list of users, and no other service runs under it
# (systemd leaves 60578 to 61183 unused, see systemd.io/UIDS-GIDS).
POSTGRES_ACCOUNT = Account(60600, 60600)


def named_account(group: Account) -> Account:
    """An account with a name but no rights, in the given group: to make a cluster takes a user that has a name."""
    try:
        return Account(pwd.getpwnam("nobody").pw_uid, group.gid)
    except KeyError:
        raise Failure(
            "PostgreSQL cannot be set up as root, because this machine has no user `nobody`: "
            "start Edgewise as an ordinary user, or set DATABASE_URL to a PostgreSQL of your own."
        ) from None
