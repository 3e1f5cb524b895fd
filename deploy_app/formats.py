"""The formats of an artifact: what people read about them, and the options that each takes.

The page, the API and the demo list what stands here. The worker finds the forms that a format holds under the same name
in `workers/export/forms.py`.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from edgewise.spec.fields import declared
from edgewise.spec.library import C_COMPILERS, LibraryOptions, PrecisionOptions


class NoOptions(BaseModel):
    """A format that leaves nothing to choose."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True)
class Format:
    """One format."""

    name: str
    title: str
    description: str
    options: type[BaseModel] = NoOptions
    """Declared as all parameters are: `edgewise.spec.fields`."""
    programs: tuple[str, ...] = ()
    """One of them must be installed where the worker runs."""

    def can_be_built_here(self) -> bool:
        """Say whether a worker on this machine finds what it needs."""
        return not self.programs or any(map(shutil.which, self.programs))

    def title_with(self, options: Mapping[str, str]) -> str:
        """Name the format with what was chosen."""
        chosen = [item.choices[options[item.name]] for item in declared(self.options) if item.name in options]
        return ", ".join([self.title, *chosen])


FORMATS = {
    row.name: row
    for row in (
        Format(
            "binary",
            "Binary",
            "SavedModel and TFLite side by side, for a computer with CPU or GPU: whichever runner your program or "
            "notebook names, it runs. Precision is that of TFLite; SavedModel always computes in floats.",
            PrecisionOptions,
        ),
        Format(
            "savedmodel",
            "SavedModel",
            "For TensorFlow, and SavedModelRunner of nengo-edge: whole clips of audio in, one score for each label "
            "out.",
        ),
        Format(
            "tflite",
            "TFLite",
            "For streams, and TFLiteRunner of nengo-edge: a feature extractor and a network that take audio as it "
            "comes and keep their state in between.",
            PrecisionOptions,
        ),
        Format(
            "onnx",
            "ONNX",
            "For ONNX Runtime and everything else that reads ONNX: a file for whole clips of audio, and two for "
            "streams: one gives features, and one takes them frame by frame.",
        ),
        Format(
            "c",
            "C library",
            "For microcontrollers and every other device: portable C99 without dependencies, from audio to detected "
            "keywords, with CMake and Arduino layouts, an example, and a runner in Python that needs numpy alone.",
            LibraryOptions,
            C_COMPILERS,
        ),
    )
}
