"""What can be chosen of what devices run, and what building it needs."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from edgewise.spec.fields import parameter

C_COMPILERS = ("cc", "gcc", "clang")
"""No library is handed out that was not compiled and run: by one of them where the worker has it, else by Zig."""


class PrecisionOptions(BaseModel):
    """What can be chosen of everything that computes in float32 or in integers."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    precision: Literal["float32", "int8"] = parameter(
        "float32",
        title="Precision",
        choices={"float32": "float32", "int8": "int8"},
        help="int8 stores weights in 8 bits and computes the network in integers: smaller, and made for processors "
        "without a fast float unit. Features are computed in float32 all the same.",
    )


class LibraryOptions(PrecisionOptions):
    """What can be chosen of a C library."""

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
        "extra “targets” where the worker runs.",
    )  # fmt: skip
