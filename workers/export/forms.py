"""The forms that a trained network can take, and which of them each format of an artifact holds.

A form writes its files and can run them again: that is how an artifact is checked before anybody gets it. A new format
is a row here and a row of the same name in `deploy_app/formats.py`, where its title and description stand.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from workers.engine.weights import TrainedNetwork
from workers.export import savedmodel, tflite

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Form:
    """One form of a trained network."""

    title: str
    write: Callable[[Path, TrainedNetwork], None]
    """Write its files into a folder."""
    load: Callable[[Path], Callable[[FloatArray], FloatArray]]
    """Load them: audio of whole clips (clips, samples) → logits (clips, labels)."""


SAVED_MODEL = Form("SavedModel", savedmodel.write, savedmodel.load)
TFLITE = Form("TFLite", tflite.write, tflite.load)

FORMATS: dict[str, tuple[Form, ...]] = {
    "binary": (SAVED_MODEL, TFLITE),
    "savedmodel": (SAVED_MODEL,),
    "tflite": (TFLITE,),
}
