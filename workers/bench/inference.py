"""A second of audio through `kws-small` as a device computes it, beside other ways to spot keywords, on one core."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from edgewise.spec.detection import OperatingPoint
from edgewise.spec.network import NETWORKS
from edgewise.spec.run import AudioPreprocessing
from workers.bench.accuracy import parameters_of
from workers.bench.features import speech_like
from workers.bench.figures import Figure
from workers.bench.measure import Timing, alternate, times_as_fast
from workers.bench.peers import client_features
from workers.bench.tasks import ARCHIVES
from workers.engine import networks
from workers.engine.weights import TrainedNetwork
from workers.export import tflite
from workers.export.c.emulator import emulate, why_not
from workers.export.c.host import Spotter, compile_shared
from workers.export.c.package import SOURCES_ALONE, Library

NETWORK = "kws-small"
LABELS = ("<silence>", "<unknown>", *(f"word {index}" for index in range(10)))
POINT = OperatingPoint(threshold=0.5, smoothing_ms=500)
"""The longest smoothing: it takes the most memory."""
SECONDS = 10
ROUNDS = 15
EMULATED_SECONDS = 2
DS_CNN = ARCHIVES / "mlperf_tiny" / "kws_ref_model.tflite"

Audio = npt.NDArray[np.float32]


def measure() -> list[Figure]:
    """Time ten seconds of audio in a stream, and count what the int8 library costs on an emulated Cortex-M4F.

    The weights were never trained: how long they take does not depend on it.
    """
    trained = _untrained()
    audio = speech_like(SECONDS, trained.preprocessing.sample_rate)
    with tempfile.TemporaryDirectory(prefix="edgewise-bench-") as name:
        folder = Path(name)
        contestants = {
            "c_float32": _c_library(folder / "float32", trained, "float32", audio),
            "c_int8": _c_library(folder / "int8", trained, "int8", audio),
            "tflite": _tflite(folder, trained, audio),
        }
        if DS_CNN.is_file():
            contestants["ds_cnn"] = _ds_cnn(trained.preprocessing)
        else:
            print(f"There is no {DS_CNN}: DS-CNN is left out.", file=sys.stderr)
        timings = alternate(contestants, ROUNDS)
        return [
            Figure("vs_tflite", times_as_fast(timings["c_float32"], timings["tflite"]), "times", at_least=2),
            *_against_ds_cnn(timings),
            *(_per_second(contestant, timing) for contestant, timing in timings.items()),
            *_on_cortex_m4f(folder / "int8" / "src", audio),
        ]


def _untrained() -> TrainedNetwork:
    spec, preprocessing = NETWORKS[NETWORK], parameters_of(NETWORK).preprocessing
    keras.utils.set_random_seed(0)
    frames = preprocessing.num_frames(preprocessing.sample_rate)
    arrays = networks.arrays_of(networks.build(spec, frames, preprocessing.num_features, len(LABELS)))
    return TrainedNetwork(spec, preprocessing, LABELS, preprocessing.sample_rate, arrays)


def _c_library(folder: Path, trained: TrainedNetwork, precision: str, audio: Audio) -> Callable[[], object]:
    """Compile it with the flags of its CMakeLists.txt, for any processor of this kind."""
    folder.mkdir()
    Library(precision, SOURCES_ALONE, POINT, audio).write(folder, trained)
    compile_shared(folder / "src", folder / "edgewise.so")
    spotter = Spotter(folder / "edgewise.so")
    return lambda: [spotter.feed(second) for second in audio]


def _tflite(folder: Path, trained: TrainedNetwork, audio: Audio) -> Callable[[], object]:
    """Features by the client's device code, for a second at once; the network frame by frame, as it must be."""
    tflite.write(folder, trained)
    extract = client_features(trained.preprocessing)
    step = tf.lite.Interpreter(str(folder / tflite.MODEL), num_threads=1)
    step.allocate_tensors()
    inputs, *states = [details["index"] for details in step.get_input_details()]
    _, *updated = [details["index"] for details in step.get_output_details()]

    def run() -> None:
        for second in audio:
            features = extract(second[None]).astype(np.float32)
            for frame in range(features.shape[1]):
                step.set_tensor(inputs, features[:, frame : frame + 1])
                step.invoke()
                for state, after in zip(states, updated, strict=True):
                    step.set_tensor(state, step.get_tensor(after))

    return run


def _ds_cnn(preprocessing: AudioPreprocessing) -> Callable[[], object]:
    """The reference of MLPerf Tiny, as often as our network gives scores; its features are not counted."""
    interpreter = tf.lite.Interpreter(str(DS_CNN), num_threads=1)
    interpreter.allocate_tensors()
    details = interpreter.get_input_details()[0]
    interpreter.set_tensor(details["index"], np.zeros(details["shape"], details["dtype"]))
    decisions = SECONDS * preprocessing.sample_rate // preprocessing.stride_samples
    return lambda: [interpreter.invoke() for _ in range(decisions)]


def _against_ds_cnn(timings: dict[str, Timing]) -> Iterator[Figure]:
    if "ds_cnn" in timings:
        yield Figure("vs_ds_cnn", times_as_fast(timings["c_float32"], timings["ds_cnn"]), "times", at_least=3)


def _per_second(name: str, timing: Timing) -> Figure:
    return Figure(f"{name}_us_per_second", timing.median / SECONDS * 1e6, "µs", timing.spread)


def _on_cortex_m4f(sources: Path, audio: Audio) -> Iterator[Figure]:
    if missing := why_not():
        print(f"Cortex-M4F is left out: {missing}.", file=sys.stderr)
        return
    emulation = emulate(sources, np.round(audio[:EMULATED_SECONDS] * 32767).astype(np.int16))
    yield Figure("cortex_m4f.flash_bytes", emulation.flash_bytes, "bytes")
    yield Figure("cortex_m4f.ram_bytes", emulation.ram_bytes, "bytes")
    yield Figure("cortex_m4f.stack_bytes", emulation.stack_bytes, "bytes")
    yield Figure("cortex_m4f.instructions_per_second", emulation.instructions_per_second)
