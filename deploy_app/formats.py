"""The formats of an artifact: what people read about them, and the options that each takes.

The page, the API and the demo list what stands here. The worker finds the forms that a format holds under the same name
in `workers/export/forms.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict

from edgewise.spec.fields import declared, parameter


class NoOptions(BaseModel):
    """A format that leaves nothing to choose."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class LibraryOptions(BaseModel):
    """What can be chosen of a C library."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    precision: Literal["float32", "int8"] = parameter(
        "float32",
        title="Precision",
        choices={"float32": "float32", "int8": "int8"},
        help="int8 stores weights in 8 bits and computes the network in integers: a quarter of the flash, half of the "
        "memory, and fast without a unit for floating point. Features are in float32 in both.",
    )
    target: Literal[
        "sources", "cortex-m0plus", "cortex-m4f", "cortex-m7", "cortex-m33", "linux-x86-64", "linux-aarch64",
        "linux-armv7", "macos", "windows", "wasm",
    ] = parameter(
        "sources",
        title="Compiled for",
        choices={
            "sources": "Sources alone", "cortex-m0plus": "Cortex-M0+", "cortex-m4f": "Cortex-M4F",
            "cortex-m7": "Cortex-M7", "cortex-m33": "Cortex-M33", "linux-x86-64": "Linux x86-64",
            "linux-aarch64": "Linux aarch64", "linux-armv7": "Linux armv7", "macos": "macOS (Apple silicon)",
            "windows": "Windows x86-64", "wasm": "WebAssembly",
        },
        help="A compiled library beside the sources: static for microcontrollers, shared for computers. It needs the "
        "extra `targets` where the worker runs.",
    )  # fmt: skip


@dataclass(frozen=True)
class Format:
    """One format."""

    name: str
    title: str
    description: str
    options: type[BaseModel] = NoOptions
    """Declared as all parameters are: `edgewise.spec.fields`."""

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
            "notebook names, it runs.",
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
        ),
        Format(
            "c",
            "C library",
            "For microcontrollers and every other device: portable C99 without dependencies, from audio to detected "
            "keywords, with CMake and Arduino layouts, an example, and a runner in Python that needs numpy alone.",
            LibraryOptions,
        ),
    )
}
