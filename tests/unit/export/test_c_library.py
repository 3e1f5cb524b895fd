"""The C library computes what was trained: features, scores and detections, for any way of cutting a stream."""

from __future__ import annotations

import ctypes
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewise.spec.detection import OperatingPoint
from edgewise.spec.network import NETWORKS, DenseStage, KerasLMUStage, LMUStage, NetworkSpec, RecurrentLMUStage
from tests.networks import LABELS, random_audio, random_network
from workers.bench.peers import client_features
from workers.engine.detection import detect, frames_of, keyword_outputs, smooth
from workers.engine.features import FeatureExtractor
from workers.engine.networks import fold, streaming_step
from workers.engine.weights import TrainedNetwork
from workers.export.c import host
from workers.export.c.host import Spotter, compile_shared, host_compiler
from workers.export.c.library import write_sources
from workers.export.c.network import float_network
from workers.export.c.quantize import int8_network

STRICT = ("-Wall", "-Wextra", "-Werror", "-pedantic")
POINT = OperatingPoint(threshold=0.3, smoothing_ms=100)
EVERY_KIND = NetworkSpec(
    title="every kind",
    stages=[
        DenseStage(units=20, activation="swish"),
        LMUStage(order=3, theta=6, units=17, activation="sigmoid", stride=2),
        RecurrentLMUStage(order=4, theta=12, units=17, activation="softmax"),
        LMUStage(order=5, theta=9, filters=2, units=33, projection=17, residual=True),
        LMUStage(order=6, theta=12, filters=1, units=17, residual=True, stride=2, activation="linear"),
        KerasLMUStage(order=5, theta=20, units=12, activation="relu"),
    ],
)
NETWORKS_HERE = [*NETWORKS.values(), EVERY_KIND]
FRONT_ENDS = [
    {},
    {"dct_num_features": 0, "mel_num_bins": 24},
    {"sample_rate": 8000, "mel_upper_edge_hertz": 4000, "window_size_ms": 30, "window_stride_ms": 30},
    {"sample_rate": 48000, "window_size_ms": 100.5, "window_stride_ms": 33.3, "log_epsilon": 1e-12},
    {"window_size_ms": 5, "window_stride_ms": 5, "mel_num_bins": 64, "mel_lower_edge_hertz": 0},
]

FUZZ = Path(__file__).with_name("fuzz.c")

Network = TrainedNetwork


def written(trained: Network, folder: Path, precision: str, point: OperatingPoint = POINT) -> Path:
    """The folder of the library's sources."""
    folded = fold(trained.spec, trained.arrays)
    heard = FeatureExtractor(trained.preprocessing)(random_audio(20, trained.clip_samples, seed=1))
    network = float_network(folded) if precision == "float32" else int8_network(folded, heard)
    sources = folder / precision
    sources.mkdir(parents=True)
    write_sources(sources, network, trained, point)
    return sources


def compiled(trained: Network, folder: Path, precision: str = "float32", point: OperatingPoint = POINT) -> Spotter:
    sources = written(trained, folder, precision, point)
    compile_shared(sources, folder / f"{precision}.so", *STRICT)
    return Spotter(folder / f"{precision}.so")


def frame_by_frame(spotter: Spotter, trained: Network, audio: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Features and logits of each frame of one clip."""
    stride, found = trained.preprocessing.stride_samples, []
    spotter.reset()
    for begin in range(0, len(audio), stride):
        before = spotter.frames
        spotter.feed(audio[begin : begin + stride])
        if spotter.frames > before:
            found.append((spotter.features(trained.preprocessing.num_features), spotter.logits(len(trained.labels))))
    features, logits = zip(*found, strict=True)
    return np.array(features), np.array(logits)


def streaming_logits(trained: Network, features: np.ndarray) -> np.ndarray:
    """Logits after each frame of one clip, by the engine's streaming form."""
    network = fold(trained.spec, trained.arrays)
    states = [np.zeros((1, size), np.float32) for size in network.state_shapes]
    logits = []
    for frame in features:
        scores, states = streaming_step(network, frame[None], states)
        logits.append(np.asarray(scores)[0])
    return np.array(logits)


@pytest.fixture(scope="module")
def small() -> Network:
    return random_network("kws-small")


@pytest.fixture(scope="module")
def spotter(small: Network, tmp_path_factory: pytest.TempPathFactory) -> Spotter:
    return compiled(small, tmp_path_factory.mktemp("library"))


@pytest.mark.parametrize("front_end", FRONT_ENDS, ids=str)
def test_features_are_those_of_the_clients_reference(tmp_path: Path, front_end: dict[str, float]) -> None:
    trained = random_network(NetworkSpec(stages=[LMUStage(order=2, theta=4, units=4)]), **front_end)
    audio = random_audio(3, 3 * trained.preprocessing.sample_rate // 4)
    found = [frame_by_frame(one, trained, clip)[0] for one in [compiled(trained, tmp_path)] for clip in audio]
    assert np.abs(np.array(found) - client_features(trained.preprocessing)(audio)).max() < 1e-4


@pytest.mark.parametrize("network", NETWORKS_HERE, ids=lambda network: network.title)
def test_scores_are_those_of_the_streaming_form(tmp_path: Path, network: NetworkSpec) -> None:
    trained = random_network(network)
    one = compiled(trained, tmp_path)
    for audio in random_audio(2, 12000):
        features, logits = frame_by_frame(one, trained, audio)
        assert np.abs(logits - streaming_logits(trained, features)).max() < 1e-4


def test_without_a_compiler_of_its_own_a_machine_has_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "C_COMPILERS", ())
    trained = random_network(NETWORKS_HERE[0])
    [audio] = random_audio(1, 12000)
    features, logits = frame_by_frame(compiled(trained, tmp_path), trained, audio)
    assert np.abs(logits - streaming_logits(trained, features)).max() < 1e-4


@pytest.mark.parametrize("network", NETWORKS_HERE, ids=lambda network: network.title)
def test_int8_stays_close(tmp_path: Path, network: NetworkSpec) -> None:
    trained = random_network(network)
    one = compiled(trained, tmp_path, "int8")
    expected, found = [], []
    for audio in random_audio(10, 12000):
        features, logits = frame_by_frame(one, trained, audio)
        expected.append(streaming_logits(trained, features))
        found.append(logits)
    spread = np.std(expected)
    assert np.sqrt(np.mean((np.array(found) - expected) ** 2)) < 0.05 * spread


@settings(max_examples=25)
@given(cuts=st.lists(st.integers(0, 9000), max_size=12), as_int16=st.booleans())
def test_scores_do_not_depend_on_how_a_stream_is_cut(spotter: Spotter, cuts: list[int], as_int16: bool) -> None:
    samples = np.round(random_audio(1, 9000)[0] * 32767).astype(np.int16)
    stream = samples if as_int16 else samples.astype(np.float32) / 32768
    spotter.reset()
    spotter.feed(stream)
    expected = spotter.frames, spotter.logits(len(LABELS))
    spotter.reset()
    for part in np.split(stream, sorted(cuts)):
        spotter.feed(part)
    assert spotter.frames == expected[0]
    assert np.array_equal(spotter.logits(len(LABELS)), expected[1])


def test_reset_forgets_everything(spotter: Spotter, small: Network) -> None:
    audio = random_audio(2, 9000)
    first = frame_by_frame(spotter, small, audio[0])[1]
    frame_by_frame(spotter, small, audio[1])
    spotter.set_threshold(0.9)
    assert np.array_equal(frame_by_frame(spotter, small, audio[0])[1], first)


@pytest.mark.parametrize("smoothing_ms", [0, 300])
def test_detections_follow_the_rule(tmp_path: Path, small: Network, smoothing_ms: int) -> None:
    one = compiled(small, tmp_path, point=OperatingPoint(threshold=0.5, smoothing_ms=smoothing_ms))
    audio, stride = random_audio(6, 8000).ravel(), small.preprocessing.stride_samples
    keywords = keyword_outputs(LABELS)
    refractory = frames_of(small.clip_milliseconds, small.preprocessing)

    def heard(threshold: float) -> tuple[np.ndarray, list[int | None]]:
        probabilities, labels = [], []
        one.reset()
        one.set_threshold(threshold)
        for begin in range(0, len(audio), stride):
            before, label = one.frames, one.feed(audio[begin : begin + stride])
            if one.frames > before:
                probabilities.append(one.probabilities(len(LABELS)))
                labels.append(label)
        return np.array(probabilities), labels

    averages = smooth(heard(0.5)[0][:, keywords], frames_of(smoothing_ms, small.preprocessing))
    best = np.array(keywords)[averages.argmax(axis=-1)]
    # Between two values, so that rounding decides nothing.
    levels = np.sort(averages.max(axis=-1))
    for rank in (len(levels) // 2, len(levels) * 9 // 10):
        threshold = (levels[rank] + levels[rank - 1]) / 2
        detected = detect(averages.max(axis=-1), threshold, refractory)
        expected = [int(label) if there else None for label, there in zip(best, detected, strict=True)]
        assert heard(threshold)[1] == expected
        assert detected.any()


def test_the_threshold_can_be_moved(spotter: Spotter) -> None:
    spotter.reset()
    spotter.set_threshold(2.0)
    assert spotter.feed(random_audio(1, 16000)[0]) is None
    spotter.set_threshold(0.0)
    assert spotter.feed(random_audio(1, 16000)[0]) in keyword_outputs(LABELS)


@pytest.mark.parametrize("precision", ["float32", "int8"])
@pytest.mark.parametrize("network", [NETWORKS["kws-small"], EVERY_KIND], ids=lambda network: network.title)
def test_no_input_breaks_it(tmp_path: Path, network: NetworkSpec, precision: str) -> None:
    """Infinities, denormals and what is no number, in blocks of any length, under two sanitizers."""
    sources = written(random_network(network), tmp_path, precision)
    program = tmp_path / "fuzz"
    sanitizers = ("-g", "-O1", "-fsanitize=address,undefined,float-cast-overflow", "-fno-sanitize-recover=all")
    files = [str(path) for path in (*sorted(sources.glob("*.c")), FUZZ)]
    command = [*host_compiler(), "-std=c99", *STRICT, *sanitizers, f"-I{sources}", "-o", str(program), *files, "-lm"]
    subprocess.run(command, check=True)
    for seed in range(3):
        done = subprocess.run([program, str(seed), "100"], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")


def test_the_same_network_gives_the_same_sources(tmp_path: Path, small: Network) -> None:
    for precision in ("float32", "int8"):
        first, second = (written(small, tmp_path / name, precision) for name in ("first", "second"))
        assert [path.name for path in sorted(first.iterdir())] == [path.name for path in sorted(second.iterdir())]
        assert all(path.read_bytes() == (second / path.name).read_bytes() for path in first.iterdir())


@pytest.mark.parametrize(
    "labels",
    [
        ("<silence>", "<unknown>", 'say "yes"', "früh\\", "what??/"),
        ("<silence>", "<unknown>", *(f"turn the living-room light {how}" for how in ("on", "off", "half-way down"))),
    ],
    ids=["characters", "long"],
)
def test_labels_may_hold_any_character(tmp_path: Path, small: Network, labels: tuple[str, ...]) -> None:
    compiled(replace(small, labels=labels), tmp_path)
    library = ctypes.CDLL(str(tmp_path / "float32.so"))
    found = (ctypes.c_char_p * len(labels)).in_dll(library, "edgewise_labels")
    assert [label.decode() for label in found] == list(labels)
