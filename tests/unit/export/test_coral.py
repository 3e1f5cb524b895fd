"""The model that Google's compiler for the Edge TPU gets, and what comes of what it says.

The compiler itself is not free and not here: a program that answers like it takes its place.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.networks import CLIP_SAMPLES, random_audio, random_network
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
    coral.write(tmp_path, random_network("kws-small"), random_audio(20, CLIP_SAMPLES))
    offered, compiled = (tflite.Interpreter(tmp_path / name) for name in (tflite.MODEL, coral.MODEL))
    generator = np.random.default_rng(0)
    inputs = [generator.uniform(-1, 1, (1, *shape[1:])).astype(np.float32) for shape in offered.shapes]
    assert [shape[0] for shape in compiled.shapes] == [1] * len(inputs)
    assert all(np.array_equal(*pair) for pair in zip(compiled(*inputs), offered(*inputs), strict=True))


def test_its_tensors_are_integers_with_one_scale_as_the_board_wants_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, WORKS, monkeypatch)
    coral.write(tmp_path, random_network("kws-small"), random_audio(20, CLIP_SAMPLES))
    interpreter = tf.lite.Interpreter(str(tmp_path / coral.MODEL))
    for details in (*interpreter.get_input_details(), *interpreter.get_output_details()):
        assert details["dtype"] == np.int8
        assert len(details["quantization_parameters"]["scales"]) == 1


def test_a_compiler_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EngineError, match="not installed"):
        coral.compile_for_edge_tpu(tmp_path / tflite.MODEL)


def test_what_the_compiler_says_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, FAILS, monkeypatch)
    with pytest.raises(EngineError, match="Internal compiler error"):
        coral.write(tmp_path, random_network("kws-small"), random_audio(20, CLIP_SAMPLES))
