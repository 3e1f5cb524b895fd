"""A port that is taken is told before anything slow begins."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from edgewise.launcher.console import Failure
from edgewise.launcher.ports import owner_of, require_free_port


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_free_port_passes() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    require_free_port("127.0.0.1", port)


def test_a_taken_port_names_who_has_it(taken_port: int) -> None:
    with pytest.raises(Failure) as failure:
        require_free_port("127.0.0.1", taken_port)
    line = str(failure.value)
    assert f"Port {taken_port} is in use by" in line
    assert f"(process {os.getpid()})" in line
    assert f"--port {taken_port + 1}" in line
    assert f"(process {os.getpid()})" in (owner_of(taken_port) or "")


@pytest.mark.parametrize("bind", ["203.0.113.7", "no such host"])
def test_an_address_of_another_machine_is_refused(bind: str) -> None:
    with pytest.raises(Failure, match=f"--bind {bind} is"):
        require_free_port(bind, 8000)
