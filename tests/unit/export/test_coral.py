"""The model that Google's compiler for the Edge TPU gets, and what comes of what it says.

The compiler itself is not free and not here: a program that answers like it takes its place.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from tests.networks import random_network
from workers.engine.errors import EngineError
from workers.export import coral, tflite

WORKS = 'cp "$4" "$3/$(basename "$4" .tflite)_edgetpu.tflite"'
FAILS = 'echo "Internal compiler error"; exit 1'


def install(folder: Path, body: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a program of the compiler's name on the path."""
    program = folder / coral.COMPILER
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def test_the_compiler_gets_a_model_of_one_clip_that_computes_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, WORKS, monkeypatch)
    tflite.write(tmp_path, random_network("kws-small"))
    before = tflite.Interpreter(tmp_path / tflite.MODEL)
    inputs = [np.ones((1, *shape[1:]), np.float32) for shape in before.shapes]
    expected = before(*inputs)
    coral.compile_for_edge_tpu(tmp_path / tflite.MODEL)
    after = tflite.Interpreter(tmp_path / coral.MODEL)
    assert [shape[0] for shape in after.shapes] == [1] * len(inputs)
    assert all(np.array_equal(*pair) for pair in zip(after(*inputs), expected, strict=True))


def test_what_the_compiler_says_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, FAILS, monkeypatch)
    tflite.write(tmp_path, random_network("kws-small"))
    with pytest.raises(EngineError, match="Internal compiler error"):
        coral.compile_for_edge_tpu(tmp_path / tflite.MODEL)
