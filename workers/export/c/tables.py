"""Arrays and structures as C text."""

from __future__ import annotations

import string
from collections.abc import Iterable
from textwrap import fill
from typing import Any

import numpy as np
import numpy.typing as npt

TYPES = {"float32": "float", "int8": "int8_t", "int16": "int16_t", "uint16": "uint16_t"}
PLAIN = frozenset(string.ascii_letters + string.digits + string.punctuation + " ") - frozenset('"\\?')
"""What stands for itself in a string; a question mark could begin a trigraph."""


def number(value: float) -> str:
    """Write a number as a C constant: a float with just the digits that give it back."""
    if isinstance(value, int | np.integer):
        return str(value)
    text = str(np.float32(value))
    return (text if "." in text or "e" in text else f"{text}.0") + "f"


def text(value: str) -> str:
    """Write a string as a C constant in UTF-8."""
    return '"' + "".join(_character(byte) for byte in value.encode()) + '"'


def array(name: str, values: npt.NDArray[Any], *, static: bool = True) -> str:
    """Define a constant array of one of `TYPES`."""
    return (
        f"{'static ' if static else ''}const {TYPES[values.dtype.name]} {name}[{values.size}] = "
        f"{{\n{_listed(number(value) for value in values.ravel())}\n}};\n"
    )


def structure(fields: dict[str, str]) -> str:
    """Initialise a structure by the names of its fields."""
    return "{" + ", ".join(f".{name} = {value}" for name, value in fields.items()) + "}"


def _listed(items: Iterable[str]) -> str:
    """Separate numbers by commas, in lines of at most 120 characters."""
    return fill(
        ", ".join(items), 120, initial_indent="    ", subsequent_indent="    ", break_long_words=False,
        break_on_hyphens=False,
    )  # fmt: skip


def _character(byte: int) -> str:
    return chr(byte) if chr(byte) in PLAIN else f"\\{byte:03o}"
