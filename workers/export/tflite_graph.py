"""Quantised TFLite graphs, operator by operator.

TensorFlow's converter chooses the type and scale of each tensor by itself. A stream needs both in hand: a state must
come out with the scale with which it goes in again, or it would be rounded once more in every frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from tensorflow.lite.python import schema_py_generated as schema
from tensorflow.lite.tools import flatbuffer_utils

FloatArray = npt.NDArray[np.floating[Any]]

OPERATOR = schema.BuiltinOperator
VERSIONS = {"CONV_2D": 3, "DEPTHWISE_CONV_2D": 3, "RESHAPE": 1}
"""Of operators, the first that knows int8: 2 for all others (tensorflow/lite/tools/versioning/op_version.cc)."""
TYPES = {
    np.dtype(np.int8): schema.TensorType.INT8,
    np.dtype(np.int32): schema.TensorType.INT32,
}


@dataclass(frozen=True)
class Scale:
    """How integers stand for numbers: number = `step` · (integer - `zero`)."""

    step: float
    zero: int = 0


SHARES = Scale(1 / 256, -128)
"""What TFLite prescribes where values lie between 0 and 1."""


@dataclass(frozen=True)
class Tensor:
    """A tensor of a graph; the batch, its first dimension, is not in `shape`."""

    index: int
    shape: tuple[int, ...]
    scale: Scale


class Graph:
    """A TFLite model of one subgraph, all of int8, that is made by calling its operators in order."""

    def __init__(self) -> None:
        self._graph = schema.SubGraphT()
        self._graph.name = "main"
        self._graph.tensors, self._graph.operators, self._graph.inputs = [], [], []
        self._model = schema.ModelT()
        self._model.version = 3
        self._model.description = "Edgewise"
        self._model.subgraphs = [self._graph]
        self._model.operatorCodes, self._model.buffers = [], [_buffer(b"")]
        self._codes: dict[str, int] = {}

    def input(self, name: str, shape: Sequence[int], scale: Scale) -> Tensor:
        """Add an input."""
        tensor = self._tensor(name, shape, scale)
        self._graph.inputs.append(tensor.index)
        return tensor

    def to_bytes(self, outputs: Sequence[Tensor]) -> bytes:
        """Return the file."""
        self._graph.outputs = [tensor.index for tensor in outputs]
        return bytes(flatbuffer_utils.convert_object_to_bytearray(self._model))

    # --- operators: each returns its output ---------------------------------------------------------------------------

    def dense(self, x: Tensor, kernel: FloatArray, bias: FloatArray, scale: Scale, *, relu: bool = False) -> Tensor:
        """Multiply the last dimension by `kernel` (inputs, units): a convolution of one point.

        Unlike the operator of fully connected layers it has had a scale for each unit in every version of TFLite.
        """
        x, kernel = self._in_fours(x, kernel)
        weights, steps = _rounded(np.asarray(kernel, np.float64).T, np.abs(bias) / x.scale.step)
        options = schema.Conv2DOptionsT()
        return self._convolution(x, "CONV_2D", options, weights[:, None, None, :], 0, steps, bias, scale, relu)

    def depthwise(self, x: Tensor, kernel: FloatArray, bias: FloatArray, scale: Scale) -> Tensor:
        """Sum (rows, 1, channels) over the rows by `kernel` (channels, rows, count) → (1, 1, channels · count)."""
        channels, rows, count = kernel.shape
        by_unit = np.asarray(kernel, np.float64).transpose(0, 2, 1).reshape(channels * count, rows)
        weights, steps = _rounded(by_unit, np.abs(bias) / x.scale.step)
        options = schema.DepthwiseConv2DOptionsT()
        options.depthMultiplier = count
        return self._convolution(x, "DEPTHWISE_CONV_2D", options, weights.T[None, :, None, :], 3, steps, bias, scale)

    def add(self, a: Tensor, b: Tensor, scale: Scale) -> Tensor:
        """Add two tensors of one shape."""
        return self._operator("ADD", schema.AddOptionsT(), [a.index, b.index], a.shape, scale)

    def multiply(self, a: Tensor, b: Tensor, scale: Scale) -> Tensor:
        """Multiply by a tensor that has one value for each item of a batch, or the same shape."""
        return self._operator("MUL", schema.MulOptionsT(), [a.index, b.index], a.shape, scale)

    def concatenate(self, tensors: Sequence[Tensor]) -> Tensor:
        """Join tensors of one scale along their last dimension."""
        first = tensors[0]
        options = schema.ConcatenationOptionsT()
        options.axis = len(first.shape)
        shape = (*first.shape[:-1], sum(tensor.shape[-1] for tensor in tensors))
        return self._operator("CONCATENATION", options, [tensor.index for tensor in tensors], shape, first.scale)

    def rescale(self, x: Tensor, scale: Scale) -> Tensor:
        """Write the same numbers with another scale."""
        if x.scale == scale:
            return x
        return self._operator("QUANTIZE", schema.QuantizeOptionsT(), [x.index], x.shape, scale)

    def reshape(self, x: Tensor, shape: Sequence[int]) -> Tensor:
        """Give an item of the batch another shape."""
        options = schema.ReshapeOptionsT()
        options.newShape = [-1, *shape]
        return self._operator("RESHAPE", options, [x.index, self._integers([-1, *shape])], shape, x.scale)

    def transpose(self, x: Tensor, order: Sequence[int]) -> Tensor:
        """Reorder the dimensions, which are counted from 1."""
        shape = [x.shape[axis - 1] for axis in order]
        inputs = [x.index, self._integers([0, *order])]
        return self._operator("TRANSPOSE", schema.TransposeOptionsT(), inputs, shape, x.scale)

    def take(self, x: Tensor, position: int) -> Tensor:
        """Take one value of the last dimension."""
        rank = len(x.shape) + 1
        bounds = ([0] * (rank - 1) + [position], [0] * (rank - 1) + [position + 1], [1] * rank)
        options = schema.StridedSliceOptionsT()
        options.beginMask = options.endMask = 2 ** (rank - 1) - 1
        inputs = [x.index, *(self._integers(values) for values in bounds)]
        return self._operator("STRIDED_SLICE", options, inputs, (*x.shape[:-1], 1), x.scale)

    def sigmoid(self, x: Tensor) -> Tensor:
        """Apply the logistic function."""
        return self._operator("LOGISTIC", None, [x.index], x.shape, SHARES)

    def softmax(self, x: Tensor) -> Tensor:
        """Apply softmax to the last dimension."""
        options = schema.SoftmaxOptionsT()
        options.beta = 1.0
        return self._operator("SOFTMAX", options, [x.index], x.shape, SHARES)

    def _in_fours(self, x: Tensor, kernel: FloatArray) -> tuple[Tensor, FloatArray]:
        """Give a dense layer a multiple of four inputs; what is added is zero.

        XNNPACK of TensorFlow 2.18, which the client runs with, computes many layers of any other number of inputs
        wrongly, at least on processors with AVX512-VNNI. That of TensorFlow 2.21 does not.
        """
        inputs = len(kernel)
        missing = -inputs % 4
        if not missing:
            return x, kernel
        paddings = np.zeros((len(x.shape) + 1, 2), np.int32)
        paddings[-1, 1] = missing
        shape = (*x.shape[:-1], inputs + missing)
        padded = self._operator("PAD", schema.PadOptionsT(), [x.index, self._constant(paddings)], shape, x.scale)
        return padded, np.pad(kernel, ((0, missing), (0, 0)))

    # --- how they are written -----------------------------------------------------------------------------------------

    def _convolution(
        self,
        x: Tensor,
        name: str,
        options: Any,
        weights: npt.NDArray[np.int8],
        axis: int,
        steps: FloatArray,
        bias: FloatArray,
        scale: Scale,
        relu: bool = False,
    ) -> Tensor:
        options.padding = schema.Padding.VALID
        options.strideW = options.strideH = 1
        options.fusedActivationFunction = schema.ActivationFunctionType.RELU if relu else 0
        sums = steps * x.scale.step
        inputs = [
            x.index,
            self._constant(np.ascontiguousarray(weights), steps, axis),
            self._constant(np.round(np.asarray(bias, np.float64) / sums).astype(np.int32), sums, 0),
        ]
        shape = (1, x.shape[1], len(steps)) if name == "DEPTHWISE_CONV_2D" else (*x.shape[:-1], len(steps))
        return self._operator(name, options, inputs, shape, scale)

    def _operator(self, name: str, options: Any, inputs: Sequence[int], shape: Sequence[int], scale: Scale) -> Tensor:
        output = self._tensor(f"{name.lower()}_{len(self._graph.operators)}", shape, scale)
        operator = schema.OperatorT()
        operator.opcodeIndex = self._code(name)
        operator.inputs, operator.outputs = list(inputs), [output.index]
        if options is not None:
            operator.builtinOptions = options
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, type(options).__name__.removesuffix("T"))
        self._graph.operators.append(operator)
        return output

    def _code(self, name: str) -> int:
        if name not in self._codes:
            code = schema.OperatorCodeT()
            code.builtinCode = getattr(OPERATOR, name)
            # Readers older than this field's successor look here.
            code.deprecatedBuiltinCode = min(code.builtinCode, 127)
            code.version = VERSIONS.get(name, 2)
            self._codes[name] = len(self._model.operatorCodes)
            self._model.operatorCodes.append(code)
        return self._codes[name]

    def _tensor(self, name: str, shape: Sequence[int], scale: Scale) -> Tensor:
        index = self._append(name, (1, *shape), np.dtype(np.int8), 0, ([scale.step], [scale.zero], 0))
        self._graph.tensors[index].shapeSignature = [-1, *shape]
        return Tensor(index, tuple(shape), scale)

    def _integers(self, values: Sequence[int]) -> int:
        return self._constant(np.asarray(values, np.int32))

    def _constant(self, values: npt.NDArray[Any], steps: FloatArray | None = None, axis: int = 0) -> int:
        self._model.buffers.append(_buffer(values.astype(values.dtype.newbyteorder("<")).tobytes()))
        quantization = None if steps is None else (steps, [0] * len(steps), axis)
        name = f"constant_{len(self._model.buffers)}"
        return self._append(name, values.shape, values.dtype, len(self._model.buffers) - 1, quantization)

    def _append(self, name: str, shape: Sequence[int], dtype: np.dtype[Any], buffer: int, quantization: Any) -> int:
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type, tensor.buffer = name, list(shape), TYPES[dtype], buffer
        tensor.hasRank = True
        if quantization is not None:
            steps, zeros, axis = quantization
            parameters = schema.QuantizationParametersT()
            parameters.scale = np.asarray(steps, np.float32)
            parameters.zeroPoint = np.asarray(zeros, np.int64)
            parameters.quantizedDimension = axis
            tensor.quantization = parameters
        self._graph.tensors.append(tensor)
        return len(self._graph.tensors) - 1


def _rounded(rows: FloatArray, biases: FloatArray) -> tuple[npt.NDArray[np.int8], FloatArray]:
    """Round weights (units, inputs), each row by a step of its own, which also lets its bias fit into 32 bits.

    Integers up to 127 stay as they are: tables are made of them.
    """
    steps = np.maximum(np.abs(rows).max(axis=1) / 127, np.maximum(biases / 2**30, np.finfo(np.float32).tiny))
    steps = np.where((rows == np.round(rows)).all(axis=1) & (steps <= 1), 1.0, steps)
    return np.round(rows / steps[:, None]).astype(np.int8), steps


def _buffer(content: bytes) -> Any:
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(content, np.uint8) if content else None
    return buffer
