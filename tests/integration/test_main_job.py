"""The main job, from recorded words to artifact.zip: by the demo, and by the script of the tutorial."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
import wave
import zipfile
from pathlib import Path

import numpy as np
import pytest

from deploy_app.formats import FORMATS
from edgewise.launcher.paths import CHECKOUT
from tests.installation import Installation

pytestmark = pytest.mark.timeout(600)

LABELS = ["<silence>", "<unknown>", "up", "down", "left", "right", "stop"]
PITCHES = {"low": 300, "middle": 800, "high": 2000}


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tones for words: half a second each, in the layout of Speech Commands."""
    path = tmp_path_factory.mktemp("archive") / "tones.tar.gz"
    generator, time = np.random.default_rng(0), np.arange(8000) / 16000
    with tarfile.open(path, "w:gz") as file:
        for word, pitch in PITCHES.items():
            for speaker in range(60):
                tone = np.sin(2 * np.pi * pitch * generator.uniform(0.9, 1.1) * time)
                samples = 0.3 * tone + 0.05 * generator.standard_normal(len(time))
                add_wav(file, f"{word}/{speaker:08x}_nohash_0.wav", samples)
        add_wav(file, "_background_noise_/hiss.wav", 0.1 * generator.standard_normal(160_000))
    return path


def add_wav(archive: tarfile.TarFile, name: str, samples: np.ndarray) -> None:
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setparams((1, 2, 16000, len(samples), "NONE", ""))
        file.writeframes(np.round(samples * 20000).astype("<i2").tobytes())
    entry = tarfile.TarInfo(name)
    entry.size = content.tell()
    archive.addfile(entry, io.BytesIO(content.getvalue()))


def demo(place: Installation, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edgewise.launcher", "demo", *arguments]
    return subprocess.run(command, cwd=CHECKOUT, env=place.environment, capture_output=True, text=True, timeout=400)


def test_the_tutorial_by_api_ends_with_an_artifact(installation: Installation, tmp_path: Path) -> None:
    script = CHECKOUT / "docs" / "tutorial_api.py"
    address = f"http://127.0.0.1:{installation.port}"
    done = subprocess.run(
        [sys.executable, script, address, installation.token, "20", "20"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("artifact.zip\n")
    with zipfile.ZipFile(tmp_path / "artifact.zip") as file:
        assert file.read("labels.txt").decode().splitlines() == LABELS
        assert {"saved_model.pb", "model.tflite", "feature_extractor.tflite"} <= set(file.namelist())
    runs = {run["name"]: run for run in installation.call("GET", "/runs")["results"]}
    assert runs["Directions full 1"]["initial_weights"] == runs["Directions test 1"]["id"]
    assert runs["Directions full 1"]["parameters"]["network"] == "kws-large"


def test_the_demo_prints_its_results_as_one_object(installation: Installation, archive: Path) -> None:
    done = demo(installation, "--audio", str(archive), "--keywords", "high,low", "--steps", "60", "--json")
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout.splitlines()[-1])
    assert set(results) == {
        "test_accuracy", "balanced_accuracy", "validation_accuracy", "labels", "steps", "training_seconds", "seconds",
        "run", "artifacts",
    }  # fmt: skip
    assert results["labels"] == ["<silence>", "<unknown>", "high", "low"]
    assert results["steps"] == 60
    assert results["test_accuracy"] > 0.5
    assert installation.call("GET", f"/runs/{results['run']}/results")["accuracy"] == results["test_accuracy"]
    assert list(results["artifacts"]) == [row.name for row in FORMATS.values() if row.unmet() is None]
    assert set(results["artifacts"]) >= {"binary", "savedmodel", "tflite", "onnx", "c"}
    for path in map(Path, results["artifacts"].values()):
        assert path.is_absolute()
        assert zipfile.ZipFile(path).testzip() is None
    assert "Training kws-small on 4 labels: 60 / 60 steps" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--steps", "0"], "Training steps must be a whole number from 1 to 1,000,000; 0 is not."),
        (["--network", "kws-huge"], "There is no network 'kws-huge'"),
        (["--audio", "nowhere.tar.gz"], "There is no file or folder nowhere.tar.gz."),
        (["--audio", "README.md"], "README.md is no archive"),
        (["--audio", "ARCHIVE", "--keywords", "hihg"], "“hihg” is not in"),
    ],
)
def test_the_demo_says_what_is_wrong(
    installation: Installation, archive: Path, arguments: list[str], sentence: str
) -> None:
    done = demo(installation, *(str(archive) if argument == "ARCHIVE" else argument for argument in arguments))
    assert done.returncode == 1
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
