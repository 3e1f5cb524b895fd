"""The model for the Edge TPU of a Coral Dev Board: TFLite in integers, compiled by Google's `edgetpu_compiler`.

coral.ai/docs/edgetpu/models-intro: all tensors in 8-bit integers, with sizes that are known when it is compiled.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

import flatbuffers
from tensorflow.lite.python import schema_py_generated as schema

from workers.engine.errors import EngineError
from workers.engine.features import FloatArray
from workers.engine.weights import TrainedNetwork
from workers.export import tflite
from workers.export.finetuning import Lessons

COMPILER = "edgetpu_compiler"
MODEL = "model_edgetpu.tflite"
"""What the client's `CoralRunner` copies to the board; the compiler gives it this name by itself."""


def write(folder: Path, trained: TrainedNetwork, calibration: FloatArray, lessons: Lessons | None = None) -> None:
    """Write the network in integers, as `tflite.write_int8` does, and `MODEL` made of it.

    Raises:
        EngineError: the compiler fails.
    """
    tflite.write_int8(folder, trained, calibration, lessons)
    compile_for_edge_tpu(folder / tflite.MODEL)


def compile_for_edge_tpu(model: Path) -> None:
    """Write `MODEL` beside `model`, a network in integers whose batch may be open.

    Raises:
        EngineError: the compiler is not installed, or fails.
    """
    if shutil.which(COMPILER) is None:
        raise EngineError(
            "no-compiler",
            f"Google's {COMPILER} is not installed where the worker runs.",
            "Install it there, or choose another format.",
        )
    with tempfile.TemporaryDirectory() as name:
        fixed = Path(name) / model.name
        fixed.write_bytes(for_one_clip(model.read_bytes()))
        command = [COMPILER, "--show_operations", "--out_dir", str(model.parent), str(fixed)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode or not (model.parent / MODEL).exists():
        raise EngineError(
            "compiler-failed",
            f"Google's compiler could not compile the network for the Edge TPU: {(done.stdout + done.stderr)[-500:]}",
            "Choose another format, or report it with the log.",
        )


def for_one_clip(model: bytes) -> bytes:
    """Fix the batch of a model at the one clip that it was written with: `CoralDeviceRunner` gives it no other."""
    content = schema.ModelT.InitFromObj(schema.Model.GetRootAs(model, 0))
    for graph in content.subgraphs:
        for tensor in graph.tensors:
            tensor.shapeSignature = None
    builder = flatbuffers.Builder(len(model))
    builder.Finish(content.Pack(builder), b"TFL3")
    return bytes(builder.Output())
