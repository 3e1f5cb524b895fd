"""The web process as it runs: small, quick to answer, and free of TensorFlow."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.installation import free_port, wait_for

ROOT = Path(__file__).resolve().parents[3]
ADDRESSES = ["/healthz", "/readyz", "/accounts/login/", "/datasets/", "/api/v1/me", "/api/v1/schema"]
FORBIDDEN = ("tensorflow", "librosa", "numba", "llvmlite", "keras")


def get(port: int, address: str) -> int:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{address}", timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def answers(port: int) -> bool:
    try:
        return get(port, "/healthz") == 200
    except (urllib.error.URLError, ConnectionError):
        return False


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, int]]:
    """A web server of its own: its process id and its port."""
    port = free_port()
    environment = {**os.environ, "EDGEWISE_HOME": str(tmp_path_factory.mktemp("home")), "EDGEWISE_DEBUG": "yes"}
    command = [
        sys.executable,
        "-m",
        "uvicorn",
        "edgewise.asgi:application",
        "--port",
        str(port),
        "--log-level",
        "error",
    ]
    with subprocess.Popen(command, cwd=ROOT / "platform", env={**environment, "PYTHONPATH": str(ROOT)}) as process:
        wait_for(lambda: process.poll() is not None or answers(port), "the web answers", 60)
        yield process.pid, port
        process.terminate()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_it_stays_small_and_loads_no_tensorflow(web: tuple[int, int]) -> None:
    process, port = web
    assert get(port, "/healthz") == 200
    for address in ADDRESSES:
        assert get(port, address) < 500 or address == "/readyz", address
    mapped = Path(f"/proc/{process}/maps").read_text()
    assert [name for name in FORBIDDEN if f"/{name}" in mapped] == []
    status = dict(line.split(":", 1) for line in Path(f"/proc/{process}/status").read_text().splitlines())
    assert int(status["VmRSS"].split()[0]) < 250 * 1024


def test_the_web_imports_nothing_heavy() -> None:
    """The same from inside, after every address has been resolved."""
    code = (
        "import sys, django, edgewise.asgi\n"
        "from django.urls import get_resolver\n"
        "get_resolver().url_patterns\n"
        f"print([name for name in {FORBIDDEN!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT / "platform", capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": str(ROOT)})  # fmt: skip
    assert done.stdout.strip() == "[]", done.stderr
