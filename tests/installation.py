"""An installation of its own, started by the launcher as people start it, and seen through its API."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edgewise.launcher.paths import CHECKOUT, Home
from edgewise.launcher.testing import remove_home

MAKE_TOKEN = """
from edgewise.accounts.models import User
from edgewise.accounts.services import create_token, give_personal_workspace
user = User.objects.get(is_superuser=True)
print("token", create_token(user, give_personal_workspace(user), "survival")[1])
"""


class Installation:
    """An installation of its own, as `./edgewise up` starts it, seen through its API."""

    def __init__(self, home: Path) -> None:
        self.home = home
        # The packages are those of this test run.
        (home / "venv").symlink_to(Path(sys.prefix))
        self.environment = {
            name: value for name, value in os.environ.items() if not name.endswith("_URL") and "EDGEWISE" not in name
        } | {"EDGEWISE_HOME": str(home), "PYTHONPATH": str(CHECKOUT / "platform")}
        self.port = free_port()
        self.launcher: subprocess.Popen[bytes] | None = None
        self.token = ""

    def up(self) -> None:
        """Start it and wait until it answers."""
        with (self.home / "up.log").open("ab") as log:
            command = [sys.executable, "-m", "edgewise.launcher", "up", "--port", str(self.port)]
            self.launcher = subprocess.Popen(command, cwd=CHECKOUT, env=self.environment, stdout=log, stderr=log)
        wait_for(self.answers, "the web answers", 120)

    def down(self) -> None:
        """Stop it as Ctrl-C does; a launcher that does not stop is killed, which fails the test."""
        assert self.launcher is not None
        self.launcher.send_signal(signal.SIGINT)
        try:
            self.launcher.wait(60)
        except subprocess.TimeoutExpired:
            self.launcher.kill()
            self.launcher.wait()
            raise

    def answers(self) -> bool:
        assert self.launcher is not None
        assert self.launcher.poll() is None, (self.home / "up.log").read_text()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False

    def sign_in(self) -> None:
        """Make the administrator's token."""
        command = [sys.executable, "-m", "edgewise.launcher", "manage", "shell", "-c", MAKE_TOKEN]
        done = subprocess.run(command, cwd=CHECKOUT, env=self.environment, capture_output=True, text=True, check=True)
        found = re.search(r"token (\S+)", done.stdout)
        assert found, done.stdout
        self.token = found[1]

    def call(self, method: str, path: str, body: Any = None) -> Any:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/api/v1{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            content = answer.read()
        return json.loads(content) if content else None

    def patiently(self, path: str) -> Any:
        """Read, again and again while something is down."""
        found: list[Any] = []

        def attempt() -> bool:
            try:
                found.append(self.call("GET", path))
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                return False
            return True

        wait_for(attempt, f"{path} answers", 120)
        return found[0]

    def processes(self, pattern: str) -> list[int]:
        """Find processes of this installation by their command lines."""
        mine = f"EDGEWISE_HOME={self.home}".encode()
        found = []
        for folder in Path("/proc").iterdir():
            try:
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                belongs = mine in (folder / "environ").read_bytes() or str(self.home) in command
            except (OSError, NotADirectoryError):
                continue
            if belongs and re.search(pattern, command):
                found.append(int(folder.name))
        return sorted(found)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def wait_for(condition: Callable[[], bool], what: str, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s until {what}"
        time.sleep(0.1)


@contextmanager
def installed(home: Path) -> Iterator[Installation]:
    """Start an installation in an empty folder, and stop and remove it after the block."""
    place = Installation(home)
    try:
        place.up()
        place.sign_in()
        yield place
    finally:
        try:
            place.down()
        finally:
            (home / "venv").unlink()
            remove_home(Home(home))
