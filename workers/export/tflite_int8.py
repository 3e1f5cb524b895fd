"""A folded network as a TFLite model of 8-bit integers: weights, values and states.

Weights have one scale for each unit, everything else one scale for each tensor, and a state comes out with the scale
with which it goes in, so that carrying it from frame to frame changes no bit. All ranges come from recordings.

Memories are made to suit one scale: coefficient o of every channel is carried as m[o] · r / g[o], where g[o] is the
range of that coefficient and r the range of the memory's input. In real numbers that changes nothing: A and B are
multiplied by the factors, and what reads the memory is divided by them (cross-layer equalisation, Nagel et al. 2019).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from workers.engine.errors import EngineError
from workers.engine.networks import FoldedNetwork, FoldedStage
from workers.export.calibration import FloatArray, Signals, observe
from workers.export.tflite_graph import Graph, Scale, Tensor

LONGEST_PERIOD = 128
"""Frames that the phase of strided stages can count in 8 bits."""
PHASE = Scale(1.0)
INTEGERS = np.iinfo(np.int8)
CLIPPINGS = np.linspace(0.3, 1.0, 29)
"""Shares of the range that was seen: rare large values may cost less than the resolution that they would take."""
SAMPLED = 100_000


def integer_model(network: FoldedNetwork, features: FloatArray) -> bytes:
    """Quantise a folded network: features (batch, 1, features), states (batch, size) → logits, next states.

    Args:
        network: in float32.
        features: of recordings like those that it will hear, (clips, frames, features).

    Returns:
        A TFLite file.

    Raises:
        EngineError: 8 bits cannot count the frames after which the strided stages are in step again.
    """
    if network.period > LONGEST_PERIOD:
        raise EngineError(
            "period-too-long",
            f"The strides of this network multiply to {network.period}, and in integers they can to {LONGEST_PERIOD}.",
            "Choose float32, or train a network with smaller strides.",
        )
    graph = Graph()
    normal = features * network.input_scale + network.input_offset
    # What is quantised is the raw feature, but what matters of its error is what remains after normalisation.
    frame = graph.input("features", (1, network.features), scale_of(features, network.input_scale))
    phase = graph.input("state_0", (1,), PHASE) if network.period > 1 else None
    stages = list(_stages(graph, network, normal, first_state=0 if phase is None else 1))

    updated = [] if phase is None else [_next_phase(graph, phase, network.period)]
    kernel = network.input_scale[:, None, None]
    signal = graph.depthwise(
        graph.reshape(frame, (1, 1, network.features)), kernel, network.input_offset, scale_of(normal)
    )
    stride = 1
    for stage in stages:
        gate = None if phase is None or stride == 1 else _gate(graph, phase, network.period, stride)
        signal, states = stage.step(graph, signal, gate)
        updated += states
        stride *= stage.folded.stride
    logits = graph.dense(signal, network.readout_kernel, network.readout_bias, scale_of(_scores(network, stages)))
    return graph.to_bytes([graph.reshape(logits, (network.labels,)), *updated])


# --- ranges -----------------------------------------------------------------------------------------------------------


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


# --- stages -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Gate:
    """Whether a stage goes on with this frame: (1, 0), and where it waits (0, 1)."""

    open: Tensor
    closed: Tensor


@dataclass(frozen=True)
class Stage:
    """A stage of the graph whose states are inputs already."""

    folded: FoldedStage
    signals: Signals
    state: Scale
    """Of its states, and of what its dense layer reads beside them."""
    gains: FloatArray
    """Factors by which the memory's coefficients are carried larger than they are, (order,); none without a memory."""
    before: tuple[Tensor, ...]

    def step(self, graph: Graph, signal: Tensor, gate: Gate | None) -> tuple[Tensor, list[Tensor]]:
        """Compute one frame: the stage's output, and its next states."""
        if not self.before:
            return self._dense(graph, signal), []
        memory = _gated(graph, self._memory(graph, signal), self.before[0], gate)
        if self.folded.recurrent_kernel is not None:
            hidden = _gated(graph, self._hidden(graph, memory, signal), self.before[1], gate)
            return graph.reshape(hidden, (1, 1, hidden.shape[-1])), [memory, hidden]
        output = self._dense(graph, self._read(graph, memory))
        if self.folded.residual:
            output = graph.add(output, signal, scale_of(self.signals.output))
        return output, [memory]

    def _memory(self, graph: Graph, signal: Tensor) -> Tensor:
        """m ← A m + B u for each channel: the sum of one dense layer, which is rounded once."""
        transition, column = self.folded.transition, self.folded.column
        assert transition is not None
        assert column is not None
        channels, order = self.folded.channels, len(column)
        before = graph.reshape(self.before[0], (1, channels, order))
        inputs = graph.reshape(graph.rescale(signal, self.state), (1, channels, 1))
        kernel = np.vstack([(self.gains[:, None] * transition / self.gains).T, self.gains * column])
        after = graph.dense(graph.concatenate([before, inputs]), kernel, np.zeros(order), self.state)
        return graph.reshape(after, (channels * order,))

    def _read(self, graph: Graph, memory: Tensor) -> Tensor:
        """Read the memory by its filters, or as it is: (1, 1, values)."""
        filters, channels, order = self.folded.filters, self.folded.channels, len(self.gains)
        if filters is None:
            return graph.reshape(memory, (1, 1, channels * order))
        by_coefficient = graph.transpose(graph.reshape(memory, (1, channels, order)), (3, 1, 2))
        kernel = filters / self.gains[None, :, None]
        bias = np.zeros(channels * filters.shape[-1])
        return graph.depthwise(by_coefficient, kernel, bias, scale_of(self.signals.read))

    def _hidden(self, graph: Graph, memory: Tensor, signal: Tensor) -> Tensor:
        assert self.folded.recurrent_kernel is not None
        inputs = graph.reshape(graph.rescale(signal, self.state), (self.folded.channels,))
        read = graph.concatenate([memory, inputs, self.before[1]])
        kernel = np.vstack([self._kernel(), self.folded.recurrent_kernel])
        hidden = self._activated(graph, graph.reshape(read, (1, 1, read.shape[-1])), kernel, self.state)
        return graph.reshape(graph.rescale(hidden, self.state), (hidden.shape[-1],))

    def _dense(self, graph: Graph, read: Tensor) -> Tensor:
        output = scale_of(self.signals.hidden)
        hidden = self._activated(graph, read, self._kernel(), output)
        if self.folded.projection_kernel is None or self.folded.projection_bias is None:
            return hidden
        projected = self.signals.hidden @ self.folded.projection_kernel + self.folded.projection_bias
        return graph.dense(hidden, self.folded.projection_kernel, self.folded.projection_bias, scale_of(projected))

    def _kernel(self) -> FloatArray:
        """Return the kernel for a memory as it is carried."""
        if self.folded.filters is not None:
            return self.folded.kernel
        factors = np.ones(len(self.folded.kernel))
        factors[: self.folded.channels * len(self.gains)] = np.tile(self.gains, self.folded.channels)
        kernel: FloatArray = self.folded.kernel / factors[:, None]
        return kernel

    def _activated(self, graph: Graph, read: Tensor, kernel: FloatArray, scale: Scale) -> Tensor:
        activation, bias = self.folded.activation, self.folded.bias
        if activation in ("linear", "relu"):
            return graph.dense(read, kernel, bias, scale, relu=activation == "relu")
        summed = graph.dense(read, kernel, bias, scale_of(self.signals.summed))
        if activation == "softmax":
            return graph.softmax(summed)
        share = graph.sigmoid(summed)
        return share if activation == "sigmoid" else graph.multiply(share, summed, scale)


def _stages(graph: Graph, network: FoldedNetwork, normal: FloatArray, first_state: int) -> Iterator[Stage]:
    """Choose the ranges of each stage, and make its states inputs of the graph."""
    state, inputs = first_state, normal
    for folded, signals in zip(network.stages, observe(network, normal), strict=True):
        largest, gains = largest_of(inputs), np.ones(0)
        if folded.recurrent_kernel is not None:
            largest = max(largest, largest_of(signals.hidden))
        if signals.memory is not None and folded.column is not None:
            coefficients = signals.memory.reshape(-1, len(folded.column)).T
            gains = np.array([largest / largest_of(values) for values in coefficients])
        scale = Scale(largest / INTEGERS.max)
        before = []
        for size in folded.state_sizes:
            before.append(graph.input(f"state_{state}", (size,), scale))
            state += 1
        yield Stage(folded, signals, scale, gains, tuple(before))
        inputs = signals.output


def _scores(network: FoldedNetwork, stages: Sequence[Stage]) -> FloatArray:
    scores: FloatArray = stages[-1].signals.output @ network.readout_kernel + network.readout_bias
    return scores


# --- strides ----------------------------------------------------------------------------------------------------------


def _next_phase(graph: Graph, phase: Tensor, period: int) -> Tensor:
    following = [*range(1, period), 0]
    return graph.reshape(_tabulated(graph, phase, [following]), (1,))


def _gate(graph: Graph, phase: Tensor, period: int, stride: int) -> Gate:
    is_open = [int(frame % stride == 0) for frame in range(period)]
    gates = graph.reshape(_tabulated(graph, phase, [is_open, [1 - value for value in is_open]]), (2,))
    return Gate(graph.take(gates, 0), graph.take(gates, 1))


def _tabulated(graph: Graph, phase: Tensor, tables: Sequence[Sequence[int]]) -> Tensor:
    """Look the phase up in tables of integers.

    A function of the integers 0 … n-1 is piecewise linear, f(p) = f(0) + Σ c[k] · max(0, p - k), so two dense layers of
    integers compute it, exactly. Every accelerator has those, which cannot be said of comparisons.
    """
    values = np.array(tables)
    knots = values.shape[1] - 1
    ramps = graph.dense(
        graph.reshape(phase, (1, 1, 1)), np.ones((1, knots)), -np.arange(knots, dtype=np.float64), PHASE, relu=True
    )
    slopes = np.diff(values, axis=1)
    bends = np.diff(slopes, axis=1, prepend=0)
    return graph.dense(ramps, bends.T, values[:, 0].astype(np.float64), PHASE)


def _gated(graph: Graph, after: Tensor, before: Tensor, gate: Gate | None) -> Tensor:
    """Take the next state where the stage goes on, else the last one; both products and their sum are exact."""
    if gate is None:
        return after
    scale = before.scale
    return graph.add(graph.multiply(after, gate.open, scale), graph.multiply(before, gate.closed, scale), scale)
