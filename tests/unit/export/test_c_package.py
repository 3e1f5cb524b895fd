"""What a user gets with a C library: layouts, an example, and runners that compute the same."""

from __future__ import annotations

import json
import runpy
import shutil
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest

from edgewise.spec.detection import OperatingPoint
from edgewise.spec.network import NETWORKS
from tests.networks import CLIP_SAMPLES, LABELS, random_audio, random_clips, random_network
from tests.unit.export.test_artifact import made
from tests.unit.export.test_c_library import EVERY_KIND, streaming_logits
from workers.engine.features import FeatureExtractor
from workers.engine.weights import TrainedNetwork
from workers.export.c import package
from workers.export.c.host import FLAGS, host_compiler
from workers.export.c.package import SOURCES_ALONE, Library
from workers.export.c.targets import TARGETS
from workers.export.readme import compiled_usage

POINT = OperatingPoint(threshold=0.05, smoothing_ms=0)
ONE_OF_EACH_KIND = {target.file: name for name, target in TARGETS.items()}.values()
"""Static and shared libraries of each system, and WebAssembly: each is made by other commands."""


@pytest.fixture(scope="module")
def trained() -> TrainedNetwork:
    return random_network("kws-small")


def library(precision: str = "float32", target: str = SOURCES_ALONE) -> Library:
    return Library(precision, target, POINT, random_audio(10, CLIP_SAMPLES, seed=1))


@pytest.fixture(scope="module")
def unpacked(trained: TrainedNetwork, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("package")
    library().write(folder, trained)
    package.write_runner(folder, trained)
    return folder


def recording(folder: Path) -> tuple[Path, np.ndarray]:
    samples = np.round(random_audio(1, 16000)[0] * 32767).astype("<i2")
    with wave.open(str(folder / "recording.wav"), "wb") as file:
        file.setparams((1, 2, 16000, len(samples), "NONE", ""))
        file.writeframes(samples.tobytes())
    with (folder / "recording.wav").open("ab") as raw:
        raw.write(b"LIST" + (20_000).to_bytes(4, "little") + bytes(20_000))
    return folder / "recording.wav", samples


def test_the_example_prints_scores_and_detections(tmp_path: Path, trained: TrainedNetwork, unpacked: Path) -> None:
    path, samples = recording(tmp_path)
    files = [*sorted((unpacked / "src").glob("*.c")), unpacked / "examples" / "wav" / "spot_keywords.c"]
    program = tmp_path / "spot_keywords"
    command = [*host_compiler(), *FLAGS, "-Wall", "-Wextra", "-Werror", f"-I{unpacked / 'src'}", "-o", program, *files]
    subprocess.run([*map(str, command), "-lm"], check=True)
    with path.open("rb") as file:
        done = subprocess.run([program, "--scores"], stdin=file, capture_output=True, text=True, check=True)
    lines = [line.split(" ", 1) for line in done.stdout.splitlines()]
    scores = [[float(score) for score in rest.split()] for _, rest in lines if rest not in LABELS]
    features = FeatureExtractor(trained.preprocessing)(samples[None].astype(np.float32) / 32768)[0]
    assert np.abs(np.array(scores) - streaming_logits(trained, features)).max() < 1e-3
    assert any(rest in LABELS[2:] for _, rest in lines)
    refused = subprocess.run([program, Path(__file__)], capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert "no wav file" in refused.stderr


@pytest.mark.skipif(shutil.which("cmake") is None, reason="cmake is not installed")
def test_cmake_builds_it(tmp_path: Path, unpacked: Path) -> None:
    subprocess.run(["cmake", "-S", unpacked, "-B", tmp_path], check=True, capture_output=True)
    subprocess.run(["cmake", "--build", tmp_path], check=True, capture_output=True)
    assert (tmp_path / "spot_keywords").exists()


@pytest.mark.parametrize("network", [*NETWORKS.values(), EVERY_KIND], ids=lambda network: network.title)
def test_the_python_runner_computes_the_streaming_form(tmp_path: Path, network: object) -> None:
    trained = random_network(network)
    package.write_runner(tmp_path, trained)
    audio = random_audio(2, 9000)
    expected = [streaming_logits(trained, features)[-1] for features in FeatureExtractor(trained.preprocessing)(audio)]
    run = package.load_runner(tmp_path)
    assert np.abs(run(audio) - expected).max() < 1e-3


def test_the_python_runner_takes_streams_in_pieces(unpacked: Path) -> None:
    audio = random_audio(2, 9000)
    whole = package.load_runner(unpacked)(audio)
    runner = runpy.run_path(str(unpacked / package.RUNNER))["Runner"](unpacked)
    runner.reset_state(2)
    for piece in np.split(audio, [700, 701, 1500, 6000], axis=1):
        logits = runner.run(piece)
    assert np.allclose(logits, whole, atol=1e-5)


def test_the_python_runner_refuses_a_recording_of_another_rate(tmp_path: Path, unpacked: Path) -> None:
    path, _ = recording(tmp_path)
    command = [sys.executable, unpacked / package.RUNNER, path]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() in LABELS
    path.write_bytes(path.read_bytes().replace((16000).to_bytes(4, "little"), (8000).to_bytes(4, "little"), 1))
    refused = subprocess.run(command, capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert "16,000 samples a second" in refused.stderr


@pytest.mark.parametrize(("strays", "verdict"), [(1, "ok"), (2, "DIFFERS")])
def test_integers_may_take_one_clip_for_something_else(in_integers: Path, strays: int, verdict: str) -> None:
    golden = dict(np.load(in_integers / "golden.npz"))
    run = library("int8").load(in_integers)
    golden["logits"] = run(golden["audio"])
    golden["logits"][:strays] *= -1
    np.savez(in_integers / "golden.npz", **golden)
    done = subprocess.run([sys.executable, in_integers / "try_it.py"], capture_output=True, text=True, check=False)
    assert f"{verdict:8}C, compiled here" in done.stdout, done.stderr


@pytest.fixture(scope="module")
def in_integers(trained: TrainedNetwork, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("integers")
    library("int8").write(folder, trained)
    package.write_runner(folder, trained)
    audio = random_audio(10, CLIP_SAMPLES)
    np.savez(folder / "golden.npz", audio=audio, truth=np.zeros(10, np.int64))
    (folder / "labels.txt").write_text("".join(f"{label}\n" for label in LABELS))
    shutil.copyfile(package.FILES / "try_it.py", folder / "try_it.py")
    return folder


def test_the_artifact_checks_itself(tmp_path: Path) -> None:
    shutil.unpack_archive(made("c", random_clips(tmp_path / "clips"), tmp_path).path, tmp_path / "unpacked")
    command = [sys.executable, tmp_path / "unpacked" / "try_it.py"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ok      C, compiled here" in done.stdout
    assert "ok      Python runner" in done.stdout


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("cortex-m0plus", "-mcpu=cortex-m0plus -mthumb -mfloat-abi=soft"),
        ("cortex-m4f", "-mcpu=cortex-m4 -mthumb -mfpu=fpv4-sp-d16 -mfloat-abi=hard"),
        ("wasm", 'from "./edgewise_runner.js"'),
        ("linux-x86-64", "lib/linux-x86-64/libedgewise.so"),
    ],
)
def test_the_readme_says_how_the_compiled_library_is_used(target: str, says: str) -> None:
    assert says in compiled_usage(target, 16000)


@pytest.mark.parametrize("target", TARGETS)
def test_it_is_compiled_for_a_target_in_the_same_bytes(tmp_path: Path, trained: TrainedNetwork, target: str) -> None:
    first = compiled(tmp_path / "first", trained, target)
    assert first
    if target in ONE_OF_EACH_KIND:
        assert compiled(tmp_path / "second", trained, target) == first


def compiled(folder: Path, trained: TrainedNetwork, target: str) -> bytes:
    folder.mkdir()
    library("int8", target).write(folder, trained)
    return (folder / "lib" / target / TARGETS[target].file).read_bytes()


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_webassembly_gives_the_same_scores(tmp_path: Path, trained: TrainedNetwork) -> None:
    library("int8", "wasm").write(tmp_path, trained)
    audio = random_audio(1, 9000)
    (tmp_path / "audio.raw").write_bytes(audio.astype("<f4").tobytes())
    (tmp_path / "run.mjs").write_text(
        'import { readFileSync } from "node:fs";\n'
        'import { Spotter } from "./edgewise_runner.js";\n'
        'const samples = new Float32Array(new Uint8Array(readFileSync("audio.raw")).buffer);\n'
        f'const spotter = await Spotter.load(readFileSync("lib/wasm/edgewise.wasm"), {json.dumps(LABELS)});\n'
        "spotter.feed(samples.subarray(0, 1234));\n"
        "spotter.feed(samples.subarray(1234));\n"
        "console.log(JSON.stringify([...spotter.logits]));\n"
    )
    (tmp_path / "package.json").write_text('{"type": "module"}')
    done = subprocess.run(["node", "run.mjs"], cwd=tmp_path, capture_output=True, text=True, check=True)
    expected = library("int8").load(tmp_path)(audio)
    assert np.array_equal(np.array(json.loads(done.stdout), np.float32), expected[0])
