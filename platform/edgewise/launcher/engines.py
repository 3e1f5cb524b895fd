"""The two engines, PostgreSQL and Redis, for the time of one command.

In one home they run at most once. Whoever holds `engines.lock` runs them; other commands use them at the addresses in
`engines.json`. A shared hold on `users.lock` keeps the engines of a short command alive until their last user is done.
Locks of the kernel vanish with their holder, so nothing has to be cleared after a kill -9.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from edgewise.launcher.console import Failure, say
from edgewise.launcher.paths import Home, write_whole
from edgewise.launcher.postgresql import PostgreSQL
from edgewise.launcher.redis_server import RedisServer
from edgewise.launcher.supervisor import Supervisor

LOCK_POLL_SECONDS = 0.1
CONNECT_SECONDS = 5
LEAST_FREE_BYTES = 300_000_000


@dataclass(frozen=True)
class Running:
    """What runs in a home, as the command that runs it wrote it down.

    Args:
        pid: of its launcher.
        command: such as `up`.
        database_url: as `dj-database-url` reads it.
        redis_url: as redis-py reads it.
        has_workers: whether the command runs workers as well.
        address: of the web, where there is one.
    """

    pid: int
    command: str
    database_url: str
    redis_url: str
    has_workers: bool = False
    address: str | None = None


@contextlib.contextmanager
def engines_running(
    home: Home, supervisor: Supervisor, command: str, *, has_workers: bool = False
) -> Iterator[Running]:
    """Yield the engines of this home: those that another command runs, else our own for the time of the block."""
    with open(home.run / "users.lock", "w") as users, open(home.run / "engines.lock", "w") as lock:
        fcntl.flock(users, fcntl.LOCK_SH)
        while not _try_lock(lock):
            running = read_running(home)
            if running is not None:
                yield running
                return
            supervisor.wait(LOCK_POLL_SECONDS)  # they are just being started or stopped
        with _own_engines(home, supervisor, command, has_workers=has_workers) as running:
            yield running
            if not _try_lock(users):
                say("Waiting for another command that uses the same engines ...")
                while not _try_lock(users):
                    supervisor.wait(LOCK_POLL_SECONDS)


@contextlib.contextmanager
def engines_owned(
    home: Home, supervisor: Supervisor, command: str, *, has_workers: bool, address: str
) -> Iterator[Running]:
    """Yield engines of our own; for `up`, on which others rely.

    Raises:
        Failure: another command runs them; names it.
    """
    with open(home.run / "engines.lock", "w") as lock:
        if not _try_lock(lock):
            raise Failure(_who_runs(home))
        with _own_engines(home, supervisor, command, has_workers=has_workers, address=address) as running:
            yield running


def refuse_second_up(home: Home) -> None:
    """Raise the Failure of `engines_owned` early, before anything slow.

    Raises:
        Failure: another command runs the engines of this home.
    """
    if not is_idle(home):
        raise Failure(_who_runs(home))


def read_running(home: Home) -> Running | None:
    """What runs in the home, None while nothing does. Only true while somebody holds the lock."""
    try:
        return Running(**json.loads(_running_path(home).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None


def running_now(home: Home) -> Running | None:
    """What really runs in the home: the lock is held, and the addresses are known."""
    return None if is_idle(home) else read_running(home)


def is_idle(home: Home) -> bool:
    """Whether no command runs engines in the home."""
    if not home.run.exists():
        return True
    with open(home.run / "engines.lock", "w") as lock:
        return _try_lock(lock)


def child_environment(home: Home, running: Running) -> dict[str, str]:
    """The environment of everything that runs Django."""
    binaries = Path(sys.executable).parent
    return {
        **os.environ,
        "PATH": f"{binaries}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "EDGEWISE_HOME": str(home.path),
        "EDGEWISE_SECRET_KEY": setting("EDGEWISE_SECRET_KEY") or _secret_key(home),
        "DJANGO_SETTINGS_MODULE": "edgewise.settings",
        # Addresses in the user's own environment win over those of another command.
        "DATABASE_URL": setting("DATABASE_URL") or running.database_url,
        "REDIS_URL": setting("REDIS_URL") or running.redis_url,
    }


@contextlib.contextmanager
def _own_engines(
    home: Home, supervisor: Supervisor, command: str, *, has_workers: bool, address: str | None = None
) -> Iterator[Running]:
    """Start the engines, publish them, and stop everything at the end. Needs `engines.lock`."""
    _require_space(home)
    _running_path(home).unlink(missing_ok=True)
    supervisor.end_strays()
    try:
        running = Running(
            pid=os.getpid(),
            command=command,
            database_url=_start_database(home, supervisor),
            redis_url=_start_redis(home, supervisor),
            has_workers=has_workers,
            address=address,
        )
        write_whole(_running_path(home), json.dumps(asdict(running)))
        yield running
    finally:
        _running_path(home).unlink(missing_ok=True)
        supervisor.stop()


def _require_space(home: Home) -> None:
    """A database must not run into a full disk in the middle of its work."""
    free = shutil.disk_usage(home.path).free
    if free < LEAST_FREE_BYTES:
        raise Failure(
            f"The disk of {home.path} is full: {free / 1e6:.0f} MB are free, and the engines need "
            f"{LEAST_FREE_BYTES / 1e6:.0f} MB to start. Free some space and start again."
        )


def _start_database(home: Home, supervisor: Supervisor) -> str:
    url = setting("DATABASE_URL")
    if url:
        check_database(url)
        return url
    server = PostgreSQL(home)
    server.create_cluster()
    say("Starting PostgreSQL ...")
    supervisor.start_and_wait(server.program())
    return server.url


def _start_redis(home: Home, supervisor: Supervisor) -> str:
    url = setting("REDIS_URL")
    if url:
        check_redis(url)
        return url
    server = RedisServer(home)
    say("Starting Redis ...")
    supervisor.start_and_wait(server.program())
    return server.url


def setting(name: str) -> str | None:
    """A value from the user's environment, or from the file that `NAME_FILE` points at, as the settings read it."""
    file = os.environ.get(f"{name}_FILE")
    return Path(file).read_text(encoding="utf-8").strip() if file else os.environ.get(name)


def check_database(url: str) -> None:
    """Raise a Failure unless the PostgreSQL at the address can be used."""
    import psycopg2  # type: ignore[import-untyped]

    if urlsplit(url).scheme not in ("postgres", "postgresql"):
        raise Failure(f"DATABASE_URL ({_without_password(url)}) must begin with postgresql: Edgewise needs PostgreSQL.")
    try:
        psycopg2.connect(url, connect_timeout=CONNECT_SECONDS).close()
    except (psycopg2.OperationalError, psycopg2.ProgrammingError) as error:
        raise Failure(
            f"The PostgreSQL of DATABASE_URL ({_without_password(url)}) cannot be used: {_one_line(error)}. "
            "Start it, correct DATABASE_URL, or unset it to use the embedded one."
        ) from None


def check_redis(url: str) -> None:
    """Raise a Failure unless the Redis at the address can be used."""
    import redis

    try:
        client = redis.Redis.from_url(url, socket_connect_timeout=CONNECT_SECONDS, socket_timeout=CONNECT_SECONDS)
        client.ping()
        client.close()
    except (redis.RedisError, ValueError) as error:
        raise Failure(
            f"The Redis of REDIS_URL ({_without_password(url)}) cannot be used: {_one_line(error)}. "
            "Start it, correct REDIS_URL, or unset it to use the embedded one."
        ) from None


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")


def _secret_key(home: Home) -> str:
    path = home.secrets / "secret_key"
    if not path.exists():
        write_whole(path, secrets.token_urlsafe(50))
    return path.read_text(encoding="utf-8")


def _running_path(home: Home) -> Path:
    return home.run / "engines.json"


def _try_lock(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _who_runs(home: Home) -> str:
    running = read_running(home)
    if running is None:
        return f"Another command is just starting or ending in {home.path}: try again in a moment."
    if running.address is not None:
        return (
            f"Edgewise already runs at {running.address} (process {running.pid}): "
            "open that address. To start it with other options (with workers, say), stop it with Ctrl-C where it runs, "
            f"or by `kill {running.pid}`, then start it again."
        )
    return (
        f"`./edgewise {running.command}` (process {running.pid}) is at work in {home.path}: "
        "let it finish or stop it, then start again."
    )
