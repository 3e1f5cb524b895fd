"""What lies in artifact.zip, and that the same input gives the same bytes."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from edgewise.spec.detection import OperatingPoint
from edgewise.spec.proof import ProofReport
from edgewise.spec.run import AudioPreprocessing
from tests.networks import LABELS, random_audio, random_clips, random_network
from workers.engine.data import Clips
from workers.export import coral
from workers.export.artifact import Origin
from workers.export.build import Built, build
from workers.export.forms import FORMATS, Wishes

ORIGIN = Origin("1.2.3", "run-id", "dataset-id", 3, "ab" * 32, 7, "Noise of a generator, free of rights.")
POINT = OperatingPoint(threshold=0.62, smoothing_ms=200)
ALWAYS = {"parameters.json", "README.md", "report.json", "labels.txt", "golden.npz", "try_it.py"}
SAVED_MODEL = {"saved_model.pb", "variables/variables.index", "variables/variables.data-00000-of-00001"}
TFLITE = {"model.tflite", "feature_extractor.tflite"}
C_LIBRARY = {
    *(f"src/edgewise{part}" for part in (".c", ".h", "_arithmetic.h", "_features.c", "_math.h", "_model.c", "_model.h",
                                         "_network.c", "_parts.h")),
    "CMakeLists.txt", "library.properties", "examples/SpotKeywords/SpotKeywords.ino", "examples/wav/spot_keywords.c",
    "edgewise_runner.py", "network.npz",
}  # fmt: skip
ONNX = {"clip.onnx", "features.onnx", "step.onnx"}
HELD = {
    "binary": ALWAYS | SAVED_MODEL | TFLITE, "savedmodel": ALWAYS | SAVED_MODEL, "tflite": ALWAYS | TFLITE,
    "onnx": ALWAYS | ONNX, "c": ALWAYS | C_LIBRARY, "coral": {"parameters.json", "model_edgetpu.tflite"},
    "disco": {"parameters.json", "nengoedge_project.bin"}, "nordic": {"parameters.json", "nengoedge_project.hex"},
}  # fmt: skip
OPTIONS = {"c": {"precision": "float32", "target": "sources"}, "nordic": {"precision": "int8"}}
NEEDS_EDGE_TPU_COMPILER = pytest.mark.skipif(
    shutil.which(coral.COMPILER) is None, reason=f"{coral.COMPILER} is not installed"
)
NEEDS = {"coral": NEEDS_EDGE_TPU_COMPILER}
Whole = Callable[[str], Built]


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Clips:
    return random_clips(tmp_path_factory.mktemp("clips"))


def made(format_name: str, clips: Clips, folder: Path, name: str = "kws-small") -> Built:
    wishes = Wishes(OPTIONS.get(format_name, {"precision": "float32"}), POINT, random_audio(4, 8000))
    return build(format_name, wishes, random_network(name), clips, ORIGIN, folder / "artifact.zip", lambda *_: None)


@pytest.fixture(scope="module")
def whole(clips: Clips, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """An artifact in any format, built once for all tests."""
    return functools.cache(lambda format_name: made(format_name, clips, tmp_path_factory.mktemp(format_name)))


@pytest.mark.parametrize("format_name", [pytest.param(name, marks=NEEDS.get(name, ())) for name in FORMATS])
def test_the_archive_holds_the_format_and_what_belongs_to_it(format_name: str, whole: Whole) -> None:
    built = whole(format_name)
    with zipfile.ZipFile(built.path) as archive:
        names = archive.namelist()
    assert set(names) == HELD[format_name]
    assert names == sorted(names)
    assert [path.name for path in built.path.parent.iterdir()] == ["artifact.zip"]


def test_parameters_hold_what_the_client_reads_and_what_it_ignores(whole: Whole) -> None:
    built = whole("tflite")
    with zipfile.ZipFile(built.path) as archive:
        parameters = json.loads(archive.read("parameters.json"))
        labels = archive.read("labels.txt").decode().splitlines()
    assert set(parameters) == {
        "preprocessing", "model", "postprocessing", "version", "labels", "threshold", "detection", "edgewise"
    }  # fmt: skip
    assert set(parameters["preprocessing"]) == set(AudioPreprocessing.model_fields)
    assert parameters["model"] == {
        "type": "kws", "return_sequences": False, "n_unroll": 1, "input_shape": [None, 13],
        "output_shape": [None, 5], "state_shapes": [1, 512, 512, 512, 512, 512],
    }  # fmt: skip
    assert parameters["postprocessing"] == {}
    assert parameters["threshold"] == 0.62
    assert parameters["detection"] == {"smoothing_ms": 200, "refractory_ms": 500}
    assert parameters["version"] == {"nengo-edge": "24.3.6"}
    assert parameters["labels"] == labels == list(LABELS)
    assert parameters["edgewise"] == {
        "version": "1.2.3", "run": "run-id", "dataset": "dataset-id", "revision": 3, "weights_sha256": "ab" * 32,
        "accuracy": round(built.accuracy, 6), "seed": 7,
    }  # fmt: skip


def test_the_golden_clips_are_what_the_network_heard(whole: Whole, clips: Clips, tmp_path: Path) -> None:
    with zipfile.ZipFile(whole("tflite").path) as archive:
        archive.extractall(tmp_path)
    golden = np.load(tmp_path / "golden.npz")
    assert golden["audio"].shape == (10, 8000)
    assert golden["features"].shape == (10, 24, 13)
    assert golden["logits"].shape == (10, len(LABELS))
    assert np.array_equal(golden["audio"][0], clips.around(0, 0, 8000))


def test_the_readme_says_how_to_run_it_how_well_it_hears_and_under_which_licences(clips: Clips, tmp_path: Path) -> None:
    with zipfile.ZipFile(made("binary", clips, tmp_path, "kws-reference").path) as archive:
        text = archive.read("README.md").decode()
    for expected in ("TFLiteRunner", "try_it.py", *LABELS, "all 30 test clips", ORIGIN.data_licence, "Apache-2.0",
                     "keras-lmu's licence", "over the last 200 ms", "reaches 0.62", "nothing for 500 ms"):  # fmt: skip
        assert expected in text


def test_the_report_and_the_readme_tell_the_same_chain(whole: Whole) -> None:
    built = whole("binary")
    with zipfile.ZipFile(built.path) as archive:
        report = ProofReport.model_validate_json(archive.read("report.json"))
        readme = archive.read("README.md").decode()
    assert report == built.report
    assert [stage.title for stage in report.stages] == ["Trained network", "SavedModel", "TFLite"]
    assert report.stages[0].accuracy_change == 0
    assert all(stage.file_bytes for stage in report.stages[1:])
    assert report.verdict in readme
    assert report.verdict.startswith("Computes what was trained: 100% of 30 test clips get the same label")
    for row in (*report.stages, *(estimate for estimate in report.estimates)):
        assert f"| {getattr(row, 'title', None) or row.board} |" in readme


def test_the_same_input_gives_the_same_bytes_in_a_process_with_another_past(clips: Clips, tmp_path: Path) -> None:
    """TensorFlow numbers its functions through the life of a process; here one is new and one is not."""
    tf.function(lambda x: x + 1)(tf.constant(1.0))
    here = made("binary", clips, tmp_path).path.read_bytes()
    code = (
        "import hashlib, sys; from pathlib import Path\n"
        "from tests.unit.export.test_artifact import made, random_clips\n"
        "folder = Path(sys.argv[1]); clips = random_clips(folder / 'clips')\n"
        "print(hashlib.sha256(made('binary', clips, folder).path.read_bytes()).hexdigest())"
    )
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", code, elsewhere], capture_output=True, text=True, check=True, env=_environment()
    )
    assert done.stdout.split()[-1] == hashlib.sha256(here).hexdigest()


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
