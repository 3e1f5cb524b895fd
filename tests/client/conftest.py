"""Artifacts, and the real client in an environment of its own."""

from __future__ import annotations

import os
import subprocess
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from edgewise.spec.detection import OperatingPoint
from edgewise.spec.network import NETWORKS
from edgewise.spec.run import RunParameters
from tests.networks import CLIP_SAMPLES, LABELS, random_clips, random_network, spoken_clips
from workers.engine.data import Clips, TrainingData
from workers.engine.training import train
from workers.engine.weights import TrainedNetwork
from workers.export.artifact import Origin
from workers.export.build import build
from workers.export.forms import CALIBRATION_CLIPS, Wishes
from workers.export.proof import sample

PROBE = Path(__file__).parent / "probe.py"
ORIGIN = Origin("1.2.3", "run-id", "dataset-id", 3, "ab" * 32, 7, "Noise of a generator, free of rights.")


@pytest.fixture(scope="session")
def client_python() -> str:
    """The interpreter in whose environment `nengo-edge` is installed."""
    python = os.environ.get("EDGEWISE_CLIENT_PYTHON", "")
    assert python, "Set EDGEWISE_CLIENT_PYTHON, or run `./edgewise test client`, which installs the client."
    return python


@dataclass(frozen=True)
class Unpacked:
    """An artifact as a user has it: `artifact.zip`, unpacked into a folder."""

    folder: Path
    trained: TrainedNetwork
    test: Clips
    python: str

    def ask(self, requests: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Let the real runners answer (see `probe.py`)."""
        np.savez(self.folder / "requests.npz", **requests)  # type: ignore[arg-type]
        self.run(str(PROBE), str(self.folder), "requests.npz", "answers.npz")
        return dict(np.load(self.folder / "answers.npz"))

    def run(self, *arguments: str) -> str:
        """Run a script with the client's Python in the artifact's folder and return what it prints."""
        return run_as_client(self.folder, self.python, *arguments)


def run_as_client(folder: Path, *command: str) -> str:
    """Run a program of the client's environment in a folder, and return what it prints."""
    outside = {
        name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "DJANGO_SETTINGS_MODULE")
    }
    done = subprocess.run(command, cwd=folder, env=outside, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def unpack(client_python: str, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Unpacked]:
    """Build an artifact and unpack it."""

    def unpack(trained: TrainedNetwork, test: Clips, format_name: str = "binary", **options: str) -> Unpacked:
        folder = tmp_path_factory.mktemp("artifact")
        calibration = sample(test, trained.clip_samples, CALIBRATION_CLIPS)
        wishes = Wishes({"precision": "float32", **options}, OperatingPoint(), calibration)
        built = build(format_name, wishes, trained, test, ORIGIN, folder / "artifact.zip", lambda *_: None)
        with zipfile.ZipFile(built.path) as archive:
            archive.extractall(folder)
        return Unpacked(folder, trained, test, client_python)

    return unpack


@pytest.fixture(scope="session")
def small(unpack: Callable[..., Unpacked], tmp_path_factory: pytest.TempPathFactory) -> Unpacked:
    """One artifact, for what is the same for all networks."""
    return unpack(random_network("kws-small"), random_clips(tmp_path_factory.mktemp("clips")))


@pytest.fixture(scope="session")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Clips:
    """A few words, spoken by a program."""
    return spoken_clips(tmp_path_factory.mktemp("speech"))


@pytest.fixture(scope="session")
def trained(speech: Clips, tmp_path_factory: pytest.TempPathFactory) -> TrainedNetwork:
    """A network that was trained on them for a few steps."""
    return trained_network(speech, tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="session", params=[*NETWORKS, "trained"])
def artifact(
    request: pytest.FixtureRequest, unpack: Callable[..., Unpacked], tmp_path_factory: pytest.TempPathFactory
) -> Unpacked:
    """Each network with random weights, on noise; and one that was trained for a few steps, on speech."""
    if request.param == "trained":
        return unpack(request.getfixturevalue("trained"), request.getfixturevalue("speech"))
    return unpack(random_network(request.param), random_clips(tmp_path_factory.mktemp("clips"), count=32))


def trained_network(clips: Clips, folder: Path) -> TrainedNetwork:
    """Train kws-small on clips that it hears nearly as they are, until its scores can be told apart."""
    parameters = RunParameters(
        network="kws-small", steps=400, validation_interval=400, batch_size=32, noise_probability=0.0,
        narrowband_probability=0.0, equalizer_db=0.0, **NETWORKS["kws-small"].defaults,
    )  # fmt: skip
    data = TrainingData(LABELS, 16000, CLIP_SAMPLES, clips, clips, clips, clips)
    outcome = train(parameters, data, folder, lambda _: None, lambda: False)
    assert outcome.best is not None
    return outcome.best
