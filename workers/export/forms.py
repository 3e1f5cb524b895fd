"""The forms that a trained network can take, and which of them each format of an artifact holds.

A form writes its files and can run them again: that is how an artifact is checked before anybody gets it. A new format
is a row here and a row of the same name in `deploy_app/formats.py`, where its title, description and options stand.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgewise.spec.detection import OperatingPoint
from workers.engine.weights import TrainedNetwork
from workers.export import coral, onnx, savedmodel, tflite
from workers.export.boards.form import Program
from workers.export.boards.image import DISCO, NORDIC, Board
from workers.export.c import package
from workers.export.c.package import SOURCES_ALONE, Library

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


EXACT = Bound(difference=1e-3)
QUANTISED = Bound(agreement=0.99, accuracy=0.005)


@dataclass(frozen=True)
class Form:
    """One form of a trained network."""

    title: str
    write: Callable[[Path, TrainedNetwork], None]
    """Write its files into a folder."""
    load: Callable[[Path], Callable[[FloatArray], FloatArray]]
    """Load them: audio of whole clips (clips, samples) → logits (clips, labels)."""
    bound: Bound = EXACT


@dataclass(frozen=True)
class Wishes:
    """What was chosen, and measured, for an artifact beside its network."""

    options: Mapping[str, Any]
    """Of the format, as `deploy_app/formats.py` declares them."""
    point: OperatingPoint
    calibration: FloatArray
    """Recordings of the training that give integers their ranges, (clips, samples)."""


@dataclass(frozen=True)
class Format:
    """One format of an artifact."""

    forms: Callable[[Wishes], tuple[Form, ...]]
    try_it: Path
    """The program that checks it where it was unpacked."""
    only: tuple[str, ...] | None = None
    """Names of the files that the archive may hold, where the client wants no others."""


SAVED_MODEL = Form("SavedModel", savedmodel.write, savedmodel.load)
TFLITE = Form("TFLite", tflite.write, tflite.load)
ONNX_CLIP = Form("ONNX, whole clips", onnx.write_clip, onnx.load_clip)
ONNX_STREAM = Form("ONNX, frame by frame", onnx.write_stream, onnx.load_stream)
PYTHON_RUNNER = Form("Python runner", package.write_runner, package.load_runner)

FILES = Path(__file__).parent / "files"
WITH_CLIENT = FILES / "try_it.py"


def tflite_form(wishes: Wishes) -> Form:
    """TFLite with the precision that was chosen."""
    if wishes.options["precision"] == "float32":
        return TFLITE
    write = partial(tflite.write_int8, calibration=wishes.calibration)
    return Form("TFLite, int8", write, tflite.load, QUANTISED)


def c_library(wishes: Wishes) -> Form:
    """The C library with the precision, target and operating point that were chosen."""
    library = Library(wishes.options["precision"], wishes.options["target"], wishes.point, wishes.calibration)
    return Form(f"C library, {library.precision}", library.write, library.load, _bound(library))


def edge_tpu(wishes: Wishes) -> Form:
    """The model of a Coral Dev Board. What is run here is the network in integers that Google's compiler gets."""
    write = partial(coral.write, calibration=wishes.calibration)
    return Form("TFLite, int8, before it is compiled for the Edge TPU", write, tflite.load, QUANTISED)


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
    "c": Format(lambda wishes: (c_library(wishes), PYTHON_RUNNER), package.FILES / "try_it.py"),
    "coral": Format(lambda wishes: (edge_tpu(wishes),), WITH_CLIENT, (coral.MODEL, "parameters.json")),
    "disco": for_board(DISCO),
    "nordic": for_board(NORDIC),
}
