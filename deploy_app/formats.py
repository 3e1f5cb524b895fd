"""The formats of an artifact: what people read about them, and the options that each takes.

The page, the API and the demo list what stands here. The worker finds the forms that a format holds under the same name
in `workers/export/forms.py`.
"""

from __future__ import annotations

import importlib.util
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
class Need:
    """Something that must be installed where the worker runs: one of some programs, or a module of Python."""

    title: str
    remedy: str
    programs: tuple[str, ...] = ()
    module: str = ""

    def is_met(self) -> bool:
        """Look for it on this machine."""
        return any(map(shutil.which, self.programs)) or bool(self.module and importlib.util.find_spec(self.module))


@dataclass(frozen=True)
class Format:
    """One format."""

    name: str
    title: str
    description: str
    options: type[BaseModel] = NoOptions
    """Declared as all parameters are: `edgewise.spec.fields`."""
    needs: tuple[Need, ...] = ()

    def unmet(self) -> Need | None:
        """Return the first need that is not met on this machine."""
        return next((need for need in self.needs if not need.is_met()), None)

    def why_not_here(self) -> str | None:
        """Say why a worker on this machine cannot build it; None where it can."""
        need = self.unmet()
        return f"It needs {need.title}, which is not installed here. {need.remedy}" if need else None

    def title_with(self, options: Mapping[str, str]) -> str:
        """Name the format with what was chosen."""
        chosen = [item.choices[options[item.name]] for item in declared(self.options) if item.name in options]
        return ", ".join([self.title, *chosen])


C_COMPILER = Need("a C compiler", "Install one where the worker runs, such as gcc.", C_COMPILERS, module="ziglang")
CROSS_COMPILER = Need(
    "the compiler for other processors",
    "Install the extra “targets” where the worker runs: docs/configuration.md, Extras.",
    module="ziglang",
)
EDGE_TPU_COMPILER = Need(
    "Google's compiler for the Edge TPU",
    "Install edgetpu_compiler where the worker runs: coral.ai/docs/edgetpu/compiler.",
    ("edgetpu_compiler",),
)

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
            (C_COMPILER,),
        ),
        Format(
            "coral",
            "Binary for Coral Dev Board",
            "For CoralRunner of nengo-edge: the network in 8-bit integers, compiled for the Edge TPU. What the "
            "compiler gets is checked on the test clips; what it makes of it runs on the board alone, and nobody has "
            "run it there yet.",
            needs=(EDGE_TPU_COMPILER,),
        ),
        Format(
            "disco",
            "Binary for STM32F746G Discovery",
            "For DiscoRunner of nengo-edge, which copies it to the board and talks to it over the serial port. The "
            "same sources, compiled for this server, are checked on the test clips; nobody has run the image on the "
            "board itself yet.",
            PrecisionOptions,
            (CROSS_COMPILER, C_COMPILER),
        ),
        Format(
            "nordic",
            "Binary for nRF52840 DK",
            "For NordicRunner of nengo-edge, which copies it to the board and talks to it over the serial port. The "
            "same sources, compiled for this server, are checked on the test clips; nobody has run the image on the "
            "board itself yet.",
            PrecisionOptions,
            (CROSS_COMPILER, C_COMPILER),
        ),
    )
}
