"""The library as a user gets it: sources with CMake and Arduino layouts, examples, runners, and a compiled library."""

from __future__ import annotations

import runpy
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgewise.spec.detection import OperatingPoint
from workers.engine.features import FeatureExtractor, cosine_transform, hann_window, mel_filters
from workers.engine.files import encode
from workers.engine.networks import FoldedNetwork, fold
from workers.engine.weights import TrainedNetwork
from workers.export.c import host
from workers.export.c.library import write_sources
from workers.export.c.network import Network, float_network
from workers.export.c.quantize import int8_network
from workers.export.c.targets import TARGETS, compile_for

FloatArray = npt.NDArray[np.float32]

FILES = Path(__file__).parent / "files"
LAYOUT = ("CMakeLists.txt", "library.properties", "examples")
RUNNER = "edgewise_runner.py"
NETWORK = "network.npz"
STAGE_ARRAYS = (
    "kernel", "bias", "transition", "column", "filters", "projection_kernel", "projection_bias", "recurrent_kernel"
)  # fmt: skip
SOURCES_ALONE = "sources"
"""The choice of no target."""


@dataclass(frozen=True)
class Library:
    """What was chosen of a C library."""

    precision: str
    """`float32` or `int8`."""
    target: str
    """A key of `TARGETS`, or `SOURCES_ALONE`."""
    point: OperatingPoint
    calibration: FloatArray
    """Recordings that give int8 its ranges, (clips, samples)."""

    def write(self, folder: Path, trained: TrainedNetwork) -> None:
        """Write sources, layouts and examples, and compile for the target."""
        sources = self.write_sources(folder, trained)
        for name in LAYOUT:
            copy = shutil.copytree if (FILES / name).is_dir() else shutil.copyfile
            copy(FILES / name, folder / name)
        if self.target != SOURCES_ALONE:
            target = TARGETS[self.target]
            place = folder / "lib" / self.target
            place.mkdir(parents=True)
            compile_for(target, sources, place)
            if self.target == "wasm":
                shutil.copyfile(FILES / "wasm" / "edgewise_runner.js", folder / "edgewise_runner.js")

    def write_sources(self, folder: Path, trained: TrainedNetwork) -> Path:
        """Write the sources alone, and return their folder."""
        sources = folder / "src"
        sources.mkdir()
        write_sources(sources, self._network(trained), trained, self.point)
        return sources

    def load(self, folder: Path) -> Callable[[FloatArray], FloatArray]:
        """Compile the sources on this machine: audio of whole clips (clips, samples) → logits (clips, labels)."""
        with _compiled_here(folder) as library:
            return host.load(library, folder / "src")

    def load_features(self, folder: Path) -> Callable[[FloatArray], FloatArray]:
        """Compile them: audio of whole clips (clips, samples) → features (clips, frames, features)."""
        with _compiled_here(folder) as library:
            return host.load_features(library, folder / "src")

    def _network(self, trained: TrainedNetwork) -> Network:
        folded = fold(trained.spec, trained.arrays)
        if self.precision == "float32":
            return float_network(folded)
        return int8_network(folded, FeatureExtractor(trained.preprocessing)(self.calibration))


@contextmanager
def _compiled_here(folder: Path) -> Iterator[Path]:
    """Give the library of this machine; once loaded it stays, though its file goes."""
    with tempfile.TemporaryDirectory() as name:
        library = Path(name) / "edgewise.so"
        host.compile_shared(folder / "src", library)
        yield library


# --- the runner in Python ---------------------------------------------------------------------------------------------


def write_runner(folder: Path, trained: TrainedNetwork) -> None:
    """Write the runner that needs numpy alone, and the network that it reads."""
    shutil.copyfile(FILES / RUNNER, folder / RUNNER)
    network = fold(trained.spec, trained.arrays)
    stages = [
        {
            "activation": stage.activation, "stride": stage.stride, "residual": stage.residual,
            "channels": stage.channels,
        }
        for stage in network.stages
    ]  # fmt: skip
    description = {
        "preprocessing": trained.preprocessing.model_dump(), "labels": trained.labels,
        "period": network.period, "stages": stages,
    }  # fmt: skip
    (folder / NETWORK).write_bytes(encode(description, dict(_runner_arrays(network, trained))))


def load_runner(folder: Path) -> Callable[[FloatArray], FloatArray]:
    """Load the runner in `folder`: audio of whole clips (clips, samples) → logits (clips, labels)."""
    runner = runpy.run_path(str(folder / RUNNER))["Runner"](folder)

    def logits(audio: FloatArray) -> FloatArray:
        runner.reset_state(len(audio))
        found: FloatArray = runner.run(audio)
        return found

    return logits


def load_runner_features(folder: Path) -> Callable[[FloatArray], FloatArray]:
    """Load the runner in `folder`: audio of whole clips (clips, samples) → features (clips, frames, features)."""
    features: Callable[[FloatArray], FloatArray] = runpy.run_path(str(folder / RUNNER))["Runner"](folder).features
    return features


def _runner_arrays(network: FoldedNetwork, trained: TrainedNetwork) -> Iterator[tuple[str, FloatArray]]:
    """Yield the arrays of the runner by the names that it reads."""
    preprocessing = trained.preprocessing
    bins = preprocessing.fft_points // 2 + 1
    yield "features.window", hann_window(preprocessing.window_samples).astype(np.float32)
    yield "features.filters", mel_filters(bins, preprocessing).astype(np.float32)
    if count := preprocessing.dct_num_features:
        yield "features.cosines", cosine_transform(preprocessing.mel_num_bins, count).astype(np.float32)
    yield "input.factor", network.input_scale
    yield "input.offset", network.input_offset
    for index, stage in enumerate(network.stages):
        for name in STAGE_ARRAYS:
            values = getattr(stage, name)
            if values is not None:
                yield f"{index}.{name}", values
    yield "readout.kernel", network.readout_kernel
    yield "readout.bias", network.readout_bias
