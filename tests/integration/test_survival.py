"""kill -9 of each process while a run trains: the system comes back, the run ends, its curve is whole.

By default each process is killed once; EDGEWISE_SURVIVAL_ROUNDS=20 does what the release checklist asks for.
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edgewise.launcher.paths import CHECKOUT, Home
from edgewise.launcher.testing import remove_home

pytestmark = [
    pytest.mark.timeout(1500),
    pytest.mark.skipif(sys.platform != "linux", reason="finds its processes in /proc"),
]

ROUNDS = int(os.environ.get("EDGEWISE_SURVIVAL_ROUNDS", "6"))
STEPS_PER_ROUND = 400
INTERVAL = 200
VICTIMS = {
    "training child": r"-m workers\.child train",
    "train worker": r"worker -Q train",
    "Redis": r"redis-server",
    "PostgreSQL": r"/postgres( |$).*-D",
    "web": r"uvicorn edgewise\.asgi",
    "launcher": r"edgewise\.launcher up|/edgewise up",
}
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
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            self.port = int(listener.getsockname()[1])
        self.launcher: subprocess.Popen[bytes] | None = None
        self.token = ""

    def up(self) -> None:
        """Start it and wait until it answers."""
        with (self.home / "up.log").open("ab") as log:
            command = [sys.executable, "-m", "edgewise.launcher", "up", "--port", str(self.port)]
            self.launcher = subprocess.Popen(command, cwd=CHECKOUT, env=self.environment, stdout=log, stderr=log)
        wait_for(self.answers, "the web answers", 120)

    def down(self) -> None:
        """Stop it as Ctrl-C does."""
        assert self.launcher is not None
        self.launcher.send_signal(signal.SIGINT)
        self.launcher.wait(60)

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
            return json.loads(answer.read())

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


def wait_for(condition: Callable[[], bool], what: str, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s until {what}"
        time.sleep(0.1)


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    place = Installation(tmp_path)
    place.up()
    place.sign_in()
    yield place
    place.down()
    (tmp_path / "venv").unlink()
    remove_home(Home(tmp_path))


def begin_run(place: Installation, steps: int) -> str:
    spoken = {"name": "words", "synthesize": {"keywords": ["up", "down"], "clips_per_word": 60}}
    raw_data = place.call("POST", "/raw-data", spoken)
    wait_for(lambda: place.call("GET", f"/raw-data/{raw_data['id']}")["job"]["state"] == "succeeded", "imported", 120)
    wanted = {"raw_data": raw_data["id"], "name": "two words", "parameters": {"keywords": ["up", "down"]}}
    dataset = place.call("POST", "/datasets", wanted)
    project = place.call("POST", "/projects", {"name": "survival"})
    parameters = {"steps": steps, "validation_interval": INTERVAL, "batch_size": 16}
    run = {"project": project["id"], "dataset": dataset["id"], "name": "survivor", "parameters": parameters}
    return str(place.call("POST", "/runs", run)["id"])


def progress(place: Installation, run: str) -> tuple[str, int]:
    job = place.patiently(f"/runs/{run}")["job"]
    assert job["state"] not in ("failed", "cancelled"), job
    return job["state"], job["progress"]["done"]


def test_it_survives_kill_9_of_everything(installation: Installation) -> None:
    steps = STEPS_PER_ROUND * (ROUNDS + 1)
    run = begin_run(installation, steps)
    generator = random.Random(0)
    for round_ in range(ROUNDS):
        state, before = progress(installation, run)
        if state == "succeeded":
            break
        wait_for(goes_on(installation, run, before), "the run goes on", 180)
        wait_for(at(time.monotonic() + generator.uniform(0, 2)), "a moment", 5)
        kill(installation, list(VICTIMS)[round_ % len(VICTIMS)])
    wait_for(lambda: progress(installation, run)[0] == "succeeded", "the run succeeds", 600)
    check_curve(installation.patiently(f"/runs/{run}/metrics"), steps)
    assert installation.patiently(f"/runs/{run}/results")["clips"] > 0


def goes_on(place: Installation, run: str, step: int) -> Callable[[], bool]:
    return lambda: progress(place, run)[1] > step


def at(moment: float) -> Callable[[], bool]:
    return lambda: time.monotonic() > moment


def kill(place: Installation, victim: str) -> None:
    processes = place.processes(VICTIMS[victim])
    for process in processes:
        os.kill(process, signal.SIGKILL)
    if victim == "launcher":
        assert place.launcher is not None
        assert processes
        place.launcher.wait(30)
        place.up()


def check_curve(points: list[dict[str, Any]], steps: int) -> None:
    for series in ("training", "validation"):
        found = [point["step"] for point in points if point["series"] == series]
        assert [step for step, count in Counter(found).items() if count > 1] == []
        assert found == sorted(found)
        assert found[-1] == steps
    validated = [point["step"] for point in points if point["series"] == "validation"]
    assert validated == list(range(INTERVAL, steps + 1, INTERVAL))
    trained = [point["step"] for point in points if point["series"] == "training"]
    largest = max(after - before for before, after in zip([0, *trained], trained, strict=False))
    # Points stand at fixed steps: a gap would be at least twice the usual distance.
    assert largest <= trained[0]
