"""Whether a port is free, and who has it if not."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import sys
from pathlib import Path

from edgewise.launcher.console import Failure

_LISTENING = "0A"  # TCP_LISTEN in /proc/net/tcp


def require_free_port(bind: str, port: int) -> None:
    """Make sure that the web will be able to listen there.

    Raises:
        Failure: it will not; says why, and who is in the way where that can be found out.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            bind, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror:
        raise Failure(f"--bind {bind} is no address of a machine: use 127.0.0.1, 0.0.0.0 or a name.") from None
    with socket.socket(family, kind, protocol) as probe:
        # As the server will do: a port that a stopped server has just left is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            raise Failure(_why(error, bind, port)) from None


def _why(error: OSError, bind: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        owner = owner_of(port)
        used_by = f" by {owner}" if owner else ""
        return f"Port {port} is in use{used_by}: stop that, or choose another port, `./edgewise up --port {port + 1}`."
    if error.errno == errno.EACCES:
        return f"Port {port} needs special rights: choose one above 1023, such as `./edgewise up --port 8000`."
    if error.errno == errno.EADDRNOTAVAIL:
        return f"--bind {bind} is not an address of this machine: use 127.0.0.1, or 0.0.0.0 for all of its addresses."
    return f"Cannot listen on {bind}, port {port}: {error.strerror}."


def owner_of(port: int) -> str | None:
    """Name and id of the process that listens on a port, None where that cannot be seen."""
    if sys.platform != "linux":
        return None
    sockets = {f"socket:[{inode}]" for table in ("tcp", "tcp6") for inode in _listeners(table, port)}
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(PermissionError, FileNotFoundError, ProcessLookupError):
            for descriptor in (process / "fd").iterdir():
                if os.readlink(descriptor) in sockets:
                    return f"{(process / 'comm').read_text().strip()} (process {process.name})"
    return None


def _listeners(table: str, port: int) -> list[str]:
    path = Path("/proc/net") / table
    rows = [line.split() for line in path.read_text().splitlines()[1:]] if path.exists() else []
    return [row[9] for row in rows if row[3] == _LISTENING and int(row[1].rpartition(":")[2], 16) == port]
