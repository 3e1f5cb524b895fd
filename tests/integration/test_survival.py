"""kill -9 of each process while a run trains: the system comes back, the run ends, its curve is whole.

By default each process is killed once; EDGEWISE_SURVIVAL_ROUNDS=20 does what the release checklist asks for.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.installation import Installation, installed, wait_for

pytestmark = [
    pytest.mark.timeout(1500),
    pytest.mark.skipif(sys.platform != "linux", reason="finds its processes in /proc"),
]

ROUNDS = int(os.environ.get("EDGEWISE_SURVIVAL_ROUNDS", "6"))
STEPS = 4000
INTERVAL = 200
VICTIMS = {
    "training child": r"-m workers\.child train",
    "train worker": r"worker -Q train",
    "Redis": r"redis-server",
    "PostgreSQL": r"/postgres( |$).*-D",
    "web": r"uvicorn edgewise\.asgi",
    "launcher": r"edgewise\.launcher up|/edgewise up",
}


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    with installed(tmp_path) as place:
        yield place


def prepare(place: Installation) -> dict[str, str]:
    """Make a project and a dataset; return what every run shares."""
    spoken = {"name": "words", "synthesize": {"keywords": ["up", "down"], "clips_per_word": 60}}
    raw_data = place.call("POST", "/raw-data", spoken)
    wait_for(lambda: place.call("GET", f"/raw-data/{raw_data['id']}")["job"]["state"] == "succeeded", "imported", 120)
    wanted = {"raw_data": raw_data["id"], "name": "two words", "parameters": {"keywords": ["up", "down"]}}
    dataset = place.call("POST", "/datasets", wanted)
    project = place.call("POST", "/projects", {"name": "survival"})
    return {"project": project["id"], "dataset": dataset["id"]}


def begin_run(place: Installation, shared: dict[str, str], name: str) -> str:
    parameters = {"steps": STEPS, "validation_interval": INTERVAL, "batch_size": 16}
    run = {**shared, "name": name, "parameters": parameters}
    return str(place.call("POST", "/runs", run)["id"])


def progress(place: Installation, run: str) -> tuple[str, int]:
    job = place.patiently(f"/runs/{run}")["job"]
    assert job["state"] not in ("failed", "cancelled"), job
    return job["state"], job["progress"]["done"]


def test_it_survives_kill_9_of_everything(installation: Installation) -> None:
    shared = prepare(installation)
    runs = [begin_run(installation, shared, "survivor")]
    generator = random.Random(0)

    def go_on() -> None:
        """Let the run take a step or more; another one, where it has ended: a fast machine is soon done."""
        state, before = progress(installation, runs[-1])
        if state == "succeeded":
            runs.append(begin_run(installation, shared, f"survivor {len(runs) + 1}"))
            before = 0
        wait_for(goes_on(installation, runs[-1], before), "the run goes on", 180)
        wait_for(at(time.monotonic() + generator.uniform(0, 2)), "a moment", 5)

    for round_ in range(ROUNDS):
        go_on()
        while not kill(installation, list(VICTIMS)[round_ % len(VICTIMS)]):
            go_on()
    for run in runs:
        wait_for(succeeded(installation, run), "the run succeeds", 600)
        check_curve(installation.patiently(f"/runs/{run}/metrics"))
        assert installation.patiently(f"/runs/{run}/results")["clips"] > 0


def goes_on(place: Installation, run: str, step: int) -> Callable[[], bool]:
    """Whether a run is beyond a step; one that was killed while its clips were judged has no further step to go."""

    def look() -> bool:
        state, done = progress(place, run)
        return done > step or state == "succeeded"

    return look


def succeeded(place: Installation, run: str) -> Callable[[], bool]:
    return lambda: progress(place, run)[0] == "succeeded"


def at(moment: float) -> Callable[[], bool]:
    return lambda: time.monotonic() > moment


def kill(place: Installation, victim: str) -> bool:
    """Kill all processes of a kind; say whether there were any."""
    processes = place.processes(VICTIMS[victim])
    for process in processes:
        # It may have ended by itself since.
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    if victim == "launcher":
        assert place.launcher is not None
        place.launcher.wait(30)
        place.up()
    return bool(processes)


def check_curve(points: list[dict[str, Any]]) -> None:
    for series in ("training", "validation"):
        found = [point["step"] for point in points if point["series"] == series]
        assert [step for step, count in Counter(found).items() if count > 1] == []
        assert found == sorted(found)
        assert found[-1] == STEPS
    validated = [point["step"] for point in points if point["series"] == "validation"]
    assert validated == list(range(INTERVAL, STEPS + 1, INTERVAL))
    trained = [point["step"] for point in points if point["series"] == "training"]
    largest = max(after - before for before, after in zip([0, *trained], trained, strict=False))
    # Points stand at fixed steps: a gap would be at least twice the usual distance.
    assert largest <= trained[0]
