"""TFLite: a feature extractor and a network that take audio as it comes, and keep their state in between.

`nengo_edge.TFLiteRunner` goes by the order of tensors and not by their names: data first, states after it, and the next
states in the same order behind the result. The batch stays variable, and each call of the network takes one frame, so
that chunks may give any number of frames.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from workers.engine.features import FeatureExtractor
from workers.engine.networks import fold, streaming_step
from workers.engine.weights import TrainedNetwork
from workers.export.finetuning import Lessons, finetune
from workers.export.frontend import FeatureGraph
from workers.export.tflite_int8 import Scales, integer_model

MODEL = "model.tflite"
FEATURE_EXTRACTOR = "feature_extractor.tflite"

FloatArray = npt.NDArray[np.float32]


def write(folder: Path, trained: TrainedNetwork) -> None:
    """Write both files into `folder`."""
    (folder / FEATURE_EXTRACTOR).write_bytes(_feature_extractor(trained))
    (folder / MODEL).write_bytes(_model(trained))


def write_int8(folder: Path, trained: TrainedNetwork, calibration: FloatArray, lessons: Lessons | None = None) -> None:
    """Write both files into `folder`, the network in integers.

    The feature extractor stays in float32: the client takes no other.

    Args:
        folder: takes the files.
        trained: the network.
        calibration: recordings that give integers their ranges, (clips, samples).
        lessons: let weights learn to be integers; without them they are rounded.
    """
    (folder / FEATURE_EXTRACTOR).write_bytes(_feature_extractor(trained))
    network = fold(trained.spec, trained.arrays)
    scales = Scales.of(network, FeatureExtractor(trained.preprocessing)(calibration))
    if lessons is not None:
        network = finetune(trained, scales, lessons)
    (folder / MODEL).write_bytes(integer_model(network, scales))


def load(folder: Path) -> Callable[[FloatArray], FloatArray]:
    """Load both files in `folder`: audio of whole clips (clips, samples) → logits (clips, labels)."""
    extract, step = Interpreter(folder / FEATURE_EXTRACTOR), Interpreter(folder / MODEL)

    def logits(audio: FloatArray) -> FloatArray:
        features, _ = extract(audio, np.zeros((len(audio), 0), np.float32))
        states = [np.zeros((len(audio), *shape[1:]), np.float32) for shape in step.shapes[1:]]
        for frame in range(features.shape[1]):
            result, *states = step(features[:, frame : frame + 1], *states)
        return result

    return logits


def load_features(folder: Path) -> Callable[[FloatArray], FloatArray]:
    """Load the extractor in `folder`: audio of whole clips (clips, samples) → features (clips, frames, features)."""
    extract = Interpreter(folder / FEATURE_EXTRACTOR)
    return lambda audio: extract(audio, np.zeros((len(audio), 0), np.float32))[0]


class Interpreter:
    """A TFLite file as a function from arrays to arrays, by the order of its tensors."""

    def __init__(self, path: Path) -> None:
        self._interpreter = tf.lite.Interpreter(model_path=str(path))
        self._inputs = self._interpreter.get_input_details()
        self._outputs = self._interpreter.get_output_details()
        self._sizes: list[tuple[int, ...]] = []

    @property
    def shapes(self) -> list[list[int]]:
        """Shapes of the inputs, -1 where they vary."""
        return [details["shape_signature"].tolist() for details in self._inputs]

    def __call__(self, *arrays: FloatArray) -> list[FloatArray]:
        """Compute the outputs; what a file has in integers goes in and comes out as the numbers they stand for."""
        self._fit([array.shape for array in arrays])
        for details, array in zip(self._inputs, arrays, strict=True):
            self._interpreter.set_tensor(details["index"], _quantised(array, details))
        self._interpreter.invoke()
        return [_dequantised(self._interpreter.get_tensor(details["index"]), details) for details in self._outputs]

    def _fit(self, sizes: list[tuple[int, ...]]) -> None:
        if sizes != self._sizes:
            for details, size in zip(self._inputs, sizes, strict=True):
                self._interpreter.resize_tensor_input(details["index"], size, strict=True)
            self._interpreter.allocate_tensors()
            self._sizes = sizes


def _quantised(array: FloatArray, details: dict[str, Any]) -> npt.NDArray[Any]:
    """Round as the client does: to the nearest integer that the tensor can hold."""
    step, zero = details["quantization"]
    if step == 0:
        return array
    limits = np.iinfo(details["dtype"])
    integers: npt.NDArray[Any] = np.clip(np.round(array / step + zero), limits.min, limits.max)
    return integers.astype(limits.dtype)


def _dequantised(array: npt.NDArray[Any], details: dict[str, Any]) -> FloatArray:
    step, zero = details["quantization"]
    return array if step == 0 else ((array.astype(np.float32) - zero) * np.float32(step)).astype(np.float32)


def _feature_extractor(trained: TrainedNetwork) -> bytes:
    graph = FeatureGraph(trained.preprocessing, np.float32)
    audio = tf.TensorSpec([None, None], tf.float32, name="audio")
    leftover = tf.TensorSpec([None, None], tf.float32, name="leftover")
    return _convert(graph.stream, [audio, leftover])


def _model(trained: TrainedNetwork) -> bytes:
    network = fold(trained.spec, trained.arrays)

    def step(features: tf.Tensor, *states: tf.Tensor) -> tuple[tf.Tensor, ...]:
        logits, updated = streaming_step(network, features[:, 0], states)
        return logits, *updated

    states = [
        tf.TensorSpec([None, size], tf.float32, name=f"state_{index}")
        for index, size in enumerate(network.state_shapes)
    ]
    features = tf.TensorSpec([None, 1, network.features], tf.float32, name="features")
    return _convert(step, [features, *states])


def _convert(function: Any, inputs: list[tf.TensorSpec]) -> bytes:
    """Convert a function; its arguments and results keep their order."""
    concrete = tf.function(function).get_concrete_function(*inputs)
    # Given a `trackable_obj`, the converter goes through a SavedModel and shuffles inputs and outputs.
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete])
    content: bytes = converter.convert()
    _require_order(content, inputs)
    return content


def _require_order(content: bytes, inputs: list[tf.TensorSpec]) -> None:
    found = tf.lite.Interpreter(model_content=content).get_input_details()
    expected = [[-1 if size is None else size for size in spec.shape] for spec in inputs]
    shapes = [details["shape_signature"].tolist() for details in found]
    names = [spec.name for spec in inputs]
    if shapes != expected or any(name not in details["name"] for name, details in zip(names, found, strict=True)):
        raise RuntimeError(f"The converter changed the inputs {names} of shapes {expected} to {found}.")
