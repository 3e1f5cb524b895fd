"""A folded network in 8-bit integers: weights, values and states.

Weights have one scale for each unit, everything else one scale for each tensor, and a state comes out with the scale
with which it goes in, so that carrying it from frame to frame changes no bit. All ranges come from recordings.

Memories are made to suit one scale: coefficient o of every channel is carried as m[o] · r / g[o], where g[o] is the
range of that coefficient and r the range of the memory's input. In real numbers that changes nothing: A and B are
multiplied by the factors, and what reads the memory is divided by them (cross-layer equalisation, Nagel et al. 2019).

What is computed is written once, in `step`: with the operators of `tflite_graph` it becomes a TFLite model, and with
those of `finetuning` weights learn to be integers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np
from keras import ops

from workers.engine.errors import EngineError
from workers.engine.networks import FoldedNetwork, FoldedStage
from workers.export.calibration import FloatArray, Signals, observe
from workers.export.tflite_graph import Graph, Scale

LONGEST_PERIOD = 128
"""Frames that the phase of strided stages can count in 8 bits."""
PHASE = Scale(1.0)
INTEGERS = np.iinfo(np.int8)
CLIPPINGS = np.linspace(0.3, 1.0, 29)
"""Shares of the range that was seen: rare large values may cost less than the resolution that they would take."""
SAMPLED = 100_000


def integer_model(network: FoldedNetwork, scales: Scales) -> bytes:
    """Write a network as a TFLite file: features (batch, 1, features), states (batch, size) → logits, next states.

    Args:
        network: in float32.
        scales: of its values.
    """
    graph = Graph()
    frame = graph.input("features", (1, network.features), scales.frame)
    states = [
        graph.input(f"state_{index}", (size,), scale)
        for index, (size, scale) in enumerate(zip(network.state_shapes, scales.states(network), strict=True))
    ]
    logits, updated = step(graph, network, scales, frame, states)
    return graph.to_bytes([logits, *updated])


# --- scales -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class StageScales:
    """How the values of one stage become integers."""

    state: Scale
    """Of its states, and of what its dense layer reads beside them."""
    gains: FloatArray
    """Factors by which the memory's coefficients are carried larger than they are, (order,); none without a memory."""
    read: Scale
    """Of what its dense layer reads: what filters make of the memory, or the memory itself."""
    summed: Scale
    hidden: Scale
    projected: Scale
    output: Scale

    @classmethod
    def of(cls, stage: FoldedStage, inputs: FloatArray, signals: Signals) -> StageScales:
        """Choose them by what was seen, (clips, frames, values)."""
        largest, gains = largest_of(inputs), np.ones(0)
        if stage.recurrent_kernel is not None:
            largest = max(largest, largest_of(signals.hidden))
        if signals.memory is not None and stage.column is not None:
            coefficients = signals.memory.reshape(-1, len(stage.column)).T
            gains = np.array([largest / largest_of(values) for values in coefficients])
        state = Scale(largest / INTEGERS.max)
        projected = signals.hidden
        if stage.projection_kernel is not None and stage.projection_bias is not None:
            projected = signals.hidden @ stage.projection_kernel + stage.projection_bias
        return cls(
            state=state,
            gains=gains,
            read=state if stage.filters is None else scale_of(signals.read),
            summed=scale_of(signals.summed),
            hidden=scale_of(signals.hidden),
            projected=scale_of(projected),
            output=scale_of(signals.output),
        )


@dataclass(frozen=True)
class Scales:
    """How the values of a network become integers."""

    frame: Scale
    normal: Scale
    """Of a frame after its normalisation."""
    stages: tuple[StageScales, ...]
    scores: Scale

    @classmethod
    def of(cls, network: FoldedNetwork, features: FloatArray) -> Scales:
        """Choose them by recordings like those that the network will hear, (clips, frames, features).

        Raises:
            EngineError: 8 bits cannot count the frames after which the strided stages are in step again.
        """
        if network.period > LONGEST_PERIOD:
            raise EngineError(
                "period-too-long",
                f"The strides of this network multiply to {network.period}, and in integers they can to "
                f"{LONGEST_PERIOD}.",
                "Choose float32, or train a network with smaller strides.",
            )
        normal = signal = features * network.input_scale + network.input_offset
        stages = []
        for stage, signals in zip(network.stages, observe(network, normal), strict=True):
            stages.append(StageScales.of(stage, signal, signals))
            signal = signals.output
        # What is quantised is the raw feature, but what matters of its error is what remains after normalisation.
        frame, scores = scale_of(features, network.input_scale), signal @ network.readout_kernel + network.readout_bias
        return cls(frame, scale_of(normal), tuple(stages), scale_of(scores))

    def states(self, network: FoldedNetwork) -> list[Scale]:
        """List the scales of the states of `network.state_shapes`."""
        phase = [PHASE] if network.period > 1 else []
        of_stages = zip(network.stages, self.stages, strict=True)
        return phase + [scales.state for stage, scales in of_stages for _ in stage.state_sizes]


def scale_of(seen: FloatArray, weights: FloatArray | float = 1.0) -> Scale:
    """Choose the scale that rounds and clips what was seen with the least squared error.

    Args:
        seen: values, those of one channel in the last dimension.
        weights: how much an error of each channel weighs.
    """
    low, high = min(0.0, float(seen.min())), max(0.0, float(seen.max()))
    if low == high:
        return Scale(1.0)
    values = _sampled(seen.reshape(-1, seen.shape[-1]))
    tried = [_scale_between(low * share, high * share) for share in CLIPPINGS]
    return min(tried, key=lambda scale: float(np.square(_error(values, scale) * weights).sum()))


def largest_of(seen: FloatArray) -> float:
    """Choose the range of a symmetric scale in the same way."""
    largest = max(float(np.abs(seen).max()), float(np.finfo(np.float32).tiny))
    values = _sampled(seen.reshape(-1))
    tried = [largest * float(share) for share in CLIPPINGS]
    return min(tried, key=lambda limit: float(np.square(_error(values, Scale(limit / INTEGERS.max))).sum()))


def _scale_between(low: float, high: float) -> Scale:
    step = (high - low) / (INTEGERS.max - INTEGERS.min)
    return Scale(step, round(INTEGERS.min - low / step))


def _error(values: FloatArray, scale: Scale) -> FloatArray:
    integers = np.clip(np.round(values / scale.step) + scale.zero, INTEGERS.min, INTEGERS.max)
    error: FloatArray = (integers - scale.zero) * scale.step - values
    return error


def _sampled(values: FloatArray) -> FloatArray:
    """Take some of the rows, evenly: they show the range as well."""
    return values[:: 1 + values.size // SAMPLED]


# --- what is computed -------------------------------------------------------------------------------------------------


class Quantised(Protocol):
    """Values that are integers; the batch is not in `shape`."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one item of the batch."""

    @property
    def scale(self) -> Scale:
        """How the integers stand for numbers."""


Values = TypeVar("Values", bound=Quantised)


class Operators(Protocol[Values]):
    """What a network in integers is made of; `tflite_graph.Graph` says what each operator computes."""

    def dense(self, x: Values, kernel: FloatArray, bias: FloatArray, scale: Scale, *, relu: bool = False) -> Values:
        """Multiply the last dimension by `kernel` (inputs, units)."""

    def depthwise(self, x: Values, kernel: FloatArray, bias: FloatArray, scale: Scale) -> Values:
        """Sum (rows, 1, channels) over the rows by `kernel` (channels, rows, count)."""

    def add(self, a: Values, b: Values, scale: Scale) -> Values:
        """Add two tensors of one shape."""

    def multiply(self, a: Values, b: Values, scale: Scale) -> Values:
        """Multiply by a tensor that has one value for each item of a batch, or the same shape."""

    def concatenate(self, tensors: Sequence[Values]) -> Values:
        """Join tensors of one scale along their last dimension."""

    def rescale(self, x: Values, scale: Scale) -> Values:
        """Write the same numbers with another scale."""

    def reshape(self, x: Values, shape: Sequence[int]) -> Values:
        """Give an item of the batch another shape."""

    def transpose(self, x: Values, order: Sequence[int]) -> Values:
        """Reorder the dimensions, which are counted from 1."""

    def take(self, x: Values, position: int) -> Values:
        """Take one value of the last dimension."""

    def sigmoid(self, x: Values) -> Values:
        """Apply the logistic function."""

    def softmax(self, x: Values) -> Values:
        """Apply softmax to the last dimension."""


def step(
    operators: Operators[Values], network: FoldedNetwork, scales: Scales, frame: Values, states: Sequence[Values]
) -> tuple[Values, list[Values]]:
    """Compute one frame (1, features) with states of `network.state_shapes`: logits (labels,), next states."""
    waiting = iter(states)
    phase = next(waiting) if network.period > 1 else None
    updated = [] if phase is None else [_next_phase(operators, phase, network.period)]
    kernel = network.input_scale[:, None, None]
    signal = operators.depthwise(
        operators.reshape(frame, (1, 1, network.features)), kernel, network.input_offset, scales.normal
    )
    stride = 1
    for folded, chosen in zip(network.stages, scales.stages, strict=True):
        gate = None if phase is None or stride == 1 else _gate(operators, phase, network.period, stride)
        before = [next(waiting) for _ in folded.state_sizes]
        signal, after = _Stage(operators, folded, chosen).step(signal, before, gate)
        updated += after
        stride *= folded.stride
    logits = operators.dense(signal, network.readout_kernel, network.readout_bias, scales.scores)
    return operators.reshape(logits, (network.labels,)), updated


@dataclass(frozen=True)
class Gate(Generic[Values]):
    """Whether a stage goes on with this frame: (1, 0), and where it waits (0, 1)."""

    open: Values
    closed: Values


@dataclass(frozen=True)
class _Stage(Generic[Values]):
    operators: Operators[Values]
    folded: FoldedStage
    scales: StageScales

    def step(self, signal: Values, before: Sequence[Values], gate: Gate[Values] | None) -> tuple[Values, list[Values]]:
        """Compute one frame: the stage's output, and its next states."""
        if not before:
            return self._dense(signal), []
        memory = self._gated(self._memory(signal, before[0]), before[0], gate)
        if self.folded.recurrent_kernel is not None:
            hidden = self._gated(self._hidden(memory, signal, before[1]), before[1], gate)
            return self.operators.reshape(hidden, (1, 1, hidden.shape[-1])), [memory, hidden]
        output = self._dense(self._read(memory))
        if self.folded.residual:
            output = self.operators.add(output, signal, self.scales.output)
        return output, [memory]

    def _memory(self, signal: Values, before: Values) -> Values:
        """m ← A m + B u for each channel: the sum of one dense layer, which is rounded once."""
        operators, transition, column = self.operators, self.folded.transition, self.folded.column
        gains, state = self.scales.gains, self.scales.state
        assert transition is not None
        assert column is not None
        channels, order = self.folded.channels, len(column)
        carried = operators.reshape(before, (1, channels, order))
        inputs = operators.reshape(operators.rescale(signal, state), (1, channels, 1))
        kernel = np.vstack([(gains[:, None] * transition / gains).T, gains * column])
        after = operators.dense(operators.concatenate([carried, inputs]), kernel, np.zeros(order), state)
        return operators.reshape(after, (channels * order,))

    def _read(self, memory: Values) -> Values:
        """Read the memory by its filters, or as it is: (1, 1, values)."""
        operators, filters, channels = self.operators, self.folded.filters, self.folded.channels
        order = len(self.scales.gains)
        if filters is None:
            return operators.reshape(memory, (1, 1, channels * order))
        by_coefficient = operators.transpose(operators.reshape(memory, (1, channels, order)), (3, 1, 2))
        kernel = filters / self.scales.gains[None, :, None]
        return operators.depthwise(by_coefficient, kernel, np.zeros(channels * filters.shape[-1]), self.scales.read)

    def _hidden(self, memory: Values, signal: Values, before: Values) -> Values:
        operators, state = self.operators, self.scales.state
        inputs = operators.reshape(operators.rescale(signal, state), (self.folded.channels,))
        read = operators.concatenate([memory, inputs, before])
        kernel = ops.concatenate([self._kernel(), self.folded.recurrent_kernel])
        hidden = self._activated(operators.reshape(read, (1, 1, read.shape[-1])), kernel, state)
        return operators.reshape(operators.rescale(hidden, state), (hidden.shape[-1],))

    def _dense(self, read: Values) -> Values:
        hidden = self._activated(read, self._kernel(), self.scales.hidden)
        if self.folded.projection_kernel is None or self.folded.projection_bias is None:
            return hidden
        return self.operators.dense(
            hidden, self.folded.projection_kernel, self.folded.projection_bias, self.scales.projected
        )

    def _kernel(self) -> FloatArray:
        """Return the kernel for a memory as it is carried."""
        if self.folded.filters is not None:
            return self.folded.kernel
        factors = np.ones(self.folded.kernel.shape[0])
        carried = self.folded.channels * len(self.scales.gains)
        factors[:carried] = np.tile(self.scales.gains, self.folded.channels)
        kernel: FloatArray = self.folded.kernel / factors[:, None]
        return kernel

    def _activated(self, read: Values, kernel: FloatArray, scale: Scale) -> Values:
        operators, activation, bias = self.operators, self.folded.activation, self.folded.bias
        if activation in ("linear", "relu"):
            return operators.dense(read, kernel, bias, scale, relu=activation == "relu")
        summed = operators.dense(read, kernel, bias, self.scales.summed)
        if activation == "softmax":
            return operators.softmax(summed)
        share = operators.sigmoid(summed)
        return share if activation == "sigmoid" else operators.multiply(share, summed, scale)

    def _gated(self, after: Values, before: Values, gate: Gate[Values] | None) -> Values:
        """Take the next state where the stage goes on, else the last; both products and their sum are exact."""
        if gate is None:
            return after
        taken = self.operators.multiply(after, gate.open, before.scale)
        kept = self.operators.multiply(before, gate.closed, before.scale)
        return self.operators.add(taken, kept, before.scale)


# --- strides ----------------------------------------------------------------------------------------------------------


def _next_phase(operators: Operators[Values], phase: Values, period: int) -> Values:
    following = [*range(1, period), 0]
    return operators.reshape(_tabulated(operators, phase, [following]), (1,))


def _gate(operators: Operators[Values], phase: Values, period: int, stride: int) -> Gate[Values]:
    is_open = [int(frame % stride == 0) for frame in range(period)]
    gates = operators.reshape(_tabulated(operators, phase, [is_open, [1 - value for value in is_open]]), (2,))
    return Gate(operators.take(gates, 0), operators.take(gates, 1))


def _tabulated(operators: Operators[Values], phase: Values, tables: Sequence[Sequence[int]]) -> Values:
    """Look the phase up in tables of integers.

    A function of the integers 0 … n-1 is piecewise linear, f(p) = f(0) + Σ c[k] · max(0, p - k), so two dense layers of
    integers compute it, exactly. Every accelerator has those, which cannot be said of comparisons.
    """
    values = np.array(tables)
    knots = values.shape[1] - 1
    ramps = operators.dense(
        operators.reshape(phase, (1, 1, 1)), np.ones((1, knots)), -np.arange(knots, dtype=np.float64), PHASE, relu=True
    )
    slopes = np.diff(values, axis=1)
    bends = np.diff(slopes, axis=1, prepend=0)
    return operators.dense(ramps, bends.T, values[:, 0].astype(np.float64), PHASE)
