"""The forms that a trained network can take, and which of them each format of an artifact holds.

A form writes its files and can run them again: that is how an artifact is checked before anybody gets it. A new format
is a row here and a row of the same name in `deploy_app/formats.py`, where its title, description and options stand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgewise.spec.detection import OperatingPoint
from edgewise.spec.proof import Resources
from workers.engine.weights import TrainedNetwork
from workers.export import coral, onnx, savedmodel, tflite
from workers.export.boards.form import Program
from workers.export.boards.image import DISCO, NORDIC, Board
from workers.export.c import emulator, host, package, wasm
from workers.export.c.package import SOURCES_ALONE, Library
from workers.export.c.targets import TARGETS
from workers.export.finetuning import Lessons

FloatArray = npt.NDArray[np.float32]

CALIBRATION_CLIPS = 200
"""Recordings that are enough to find the ranges of signals."""


@dataclass(frozen=True)
class Bound:
    """How far a form may be from the trained network."""

    difference: float | None = None
    """Of any score; None: no bound."""
    agreement: float = 0.0
    """Least share of clips that get the trained network's label; one clip may always differ."""
    accuracy: float = 1.0
    """Largest loss of accuracy on the test clips, as a share; one clip may always be lost."""
    features: float = 1e-4
    """Of any feature of white noise to the client's definition, where a form gives its features in float."""


EXACT = Bound(difference=1e-3)
QUANTISED = Bound(agreement=0.99, accuracy=0.005)

Run = Callable[[FloatArray], FloatArray]
MOST_CLIPS = 500
EMULATED_CLIPS = 20
"""A processor that is emulated is slow, and runs the same code as the other forms."""


@dataclass(frozen=True)
class Form:
    """One form of a trained network."""

    title: str
    write: Callable[[Path, TrainedNetwork], None]
    """Write its files into a folder."""
    load: Callable[[Path], Run]
    """Load them: audio of whole clips (clips, samples) → logits (clips, labels)."""
    bound: Bound = EXACT
    load_features: Callable[[Path], Run] | None = None
    """Load what computes features: audio (clips, samples) → (clips, frames, features). None: they cannot be seen."""
    measure: Callable[[Path, FloatArray], Resources] | None = None
    """Measure what it takes while it hears clips (clips, samples)."""
    most_clips: int = MOST_CLIPS
    """Test clips that it is run on."""
    why_not: Callable[[], str | None] = lambda: None
    """Say why it cannot be run here, and its stage is skipped; None where it can."""
    otherwise: Form | None = None
    """What is made instead where this one is farther from the trained network than its bound."""


@dataclass(frozen=True)
class Wishes:
    """What was chosen, and measured, for an artifact beside its network."""

    options: Mapping[str, Any]
    """Of the format, as `deploy_app/formats.py` declares them."""
    point: OperatingPoint
    calibration: FloatArray
    """Recordings of the training that give integers their ranges, (clips, samples)."""
    lessons: Lessons | None = None
    """Let weights learn to be integers where rounding them loses too much; None: such a network is refused."""

    @property
    def precision(self) -> str:
        """Of the network: `float32` or `int8`."""
        return str(self.options.get("precision", "float32"))


@dataclass(frozen=True)
class Format:
    """One format of an artifact."""

    forms: Callable[[Wishes], tuple[Form, ...]]
    try_it: Path
    """The program that checks it where it was unpacked."""
    only: tuple[str, ...] | None = None
    """Names of the files that the archive may hold, where the client wants no others."""


SAVED_MODEL = Form("SavedModel", savedmodel.write, savedmodel.load, load_features=savedmodel.load_features)
TFLITE = Form("TFLite", tflite.write, tflite.load, load_features=tflite.load_features)
ONNX_CLIP = Form("ONNX, whole clips", onnx.write_clip, onnx.load_clip)
ONNX_STREAM = Form("ONNX, frame by frame", onnx.write_stream, onnx.load_stream, load_features=onnx.load_features)
PYTHON_RUNNER = Form(
    "Python runner", package.write_runner, package.load_runner, load_features=package.load_runner_features
)

FILES = Path(__file__).parent / "files"
WITH_CLIENT = FILES / "try_it.py"


def tflite_form(wishes: Wishes) -> Form:
    """TFLite with the precision that was chosen."""
    if wishes.options["precision"] == "float32":
        return TFLITE
    return _in_integers("TFLite, int8", tflite.write_int8, wishes, tflite.load_features)


def _in_integers(
    title: str, write: Callable[..., None], wishes: Wishes, load_features: Callable[[Path], Run] | None = None
) -> Form:
    """Round the weights; where that loses too much, let them learn to be integers."""
    round_weights = partial(write, calibration=wishes.calibration)
    rounded = Form(title, round_weights, tflite.load, QUANTISED, load_features)
    if wishes.lessons is None:
        return rounded
    fine_tune = partial(round_weights, lessons=wishes.lessons)
    return replace(rounded, otherwise=replace(rounded, title=f"{title}, fine-tuned", write=fine_tune))


def c_library(wishes: Wishes) -> tuple[Form, ...]:
    """The C library with the precision, target and operating point that were chosen, and what was compiled of it."""
    library = Library(wishes.options["precision"], wishes.options["target"], wishes.point, wishes.calibration)
    bound = _bound(library)
    sources = Form(
        f"C library, {library.precision}", library.write, library.load, bound, load_features=library.load_features
    )
    return (sources, *_compiled(library, bound), PYTHON_RUNNER)


def _compiled(library: Library, bound: Bound) -> Iterator[Form]:
    """The library that was compiled for a target, run in what this machine has for it."""
    if library.target == SOURCES_ALONE:
        return
    title = f"{TARGETS[library.target].title}, {library.precision}"
    if library.target == "wasm":
        yield Form(
            f"{title}, in Node", _nothing, wasm.load, bound, load_features=wasm.load_features, why_not=wasm.why_not
        )
    elif library.target in emulator.BOARDS:
        yield Form(
            f"{title}, emulated",
            _nothing,
            partial(emulator.load, target=library.target),
            bound,
            load_features=partial(emulator.load_features, target=library.target),
            measure=partial(emulator.measure, target=library.target),
            most_clips=EMULATED_CLIPS,
            why_not=emulator.why_not,
        )
    else:
        file = Path("lib") / library.target / TARGETS[library.target].file
        yield Form(
            title,
            _nothing,
            lambda folder: host.load(folder / file, folder / "src"),
            bound,
            load_features=lambda folder: host.load_features(folder / file, folder / "src"),
            why_not=lambda: host.why_not(library.target),
        )


def _nothing(folder: Path, trained: TrainedNetwork) -> None:
    """Its files were written with the sources."""


def edge_tpu(wishes: Wishes) -> Form:
    """The model of a Coral Dev Board. What is run here is the network in integers that Google's compiler gets."""
    title = "TFLite, int8, before it is compiled for the Edge TPU"
    return _in_integers(title, coral.write, wishes)


def for_board(board: Board) -> Format:
    """The format of a board that the client copies an image to."""

    def forms(wishes: Wishes) -> tuple[Form, ...]:
        library = Library(wishes.options["precision"], SOURCES_ALONE, wishes.point, wishes.calibration)
        program = Program(board, library)
        title = f"Program for the {board.title}, {library.precision}"
        return (Form(title, program.write, program.load, _bound(library)),)

    return Format(forms, WITH_CLIENT, (board.file, "parameters.json"))


def _bound(library: Library) -> Bound:
    return QUANTISED if library.precision == "int8" else EXACT


FORMATS: dict[str, Format] = {
    "binary": Format(lambda wishes: (SAVED_MODEL, tflite_form(wishes)), WITH_CLIENT),
    "savedmodel": Format(lambda wishes: (SAVED_MODEL,), WITH_CLIENT),
    "tflite": Format(lambda wishes: (tflite_form(wishes),), WITH_CLIENT),
    "onnx": Format(lambda wishes: (ONNX_CLIP, ONNX_STREAM), FILES / "onnx" / "try_it.py"),
    "c": Format(c_library, package.FILES / "try_it.py"),
    "coral": Format(lambda wishes: (edge_tpu(wishes),), WITH_CLIENT, (coral.MODEL, "parameters.json")),
    "disco": for_board(DISCO),
    "nordic": for_board(NORDIC),
}
