"""A network as the tables of the C library, and how a folded network becomes one in float32."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from workers.engine.networks import FoldedNetwork, FoldedStage

Array = npt.NDArray[Any]

BLOCK = 16
"""Values that the float32 arithmetic computes at once: `EDGEWISE_BLOCK`."""


@dataclass(frozen=True)
class Layer:
    """`edgewise_layer`: a dense layer."""

    kernel: Array
    """Flat, as the arithmetic wants it."""
    bias: Array
    inputs: int
    activation: str = "linear"
    sum_scales: Array | None = None
    """(units,): real value of 1 in an integer sum; None in float32."""
    output_scale: float = 1.0
    """Real value of 1 in the output."""

    @property
    def units(self) -> int:
        """Values that it gives."""
        return len(self.bias)


@dataclass(frozen=True)
class Memory:
    """`edgewise_memory`: A and B of all channels."""

    transition: Array
    """(order, order)"""
    column: Array
    """(order,)"""
    shift: int = 0
    """Binary places of both; 0 in float32."""

    @property
    def order(self) -> int:
        """Coefficients of a channel."""
        return len(self.column)


@dataclass(frozen=True)
class Filters:
    """`edgewise_filters`: weighted sums of each channel's coefficients."""

    weights: Array
    """Flat, as the arithmetic wants it."""
    count: int
    """Of each channel."""
    scales: Array | None = None
    """(channels · count,): from an integer sum to the output's integers; None in float32."""


@dataclass(frozen=True)
class Stage:
    """`edgewise_stage`."""

    layer: Layer
    channels: int
    memory: Memory | None = None
    filters: Filters | None = None
    projection: Layer | None = None
    stride: int = 1
    residual: bool = False
    recurrent: bool = False
    input_scale: float = 1.0
    """Real value of 1 in the input."""

    @property
    def state_values(self) -> int:
        """Values that it carries from frame to frame."""
        if self.memory is None:
            return 0
        return self.channels * self.memory.order + (self.layer.units if self.recurrent else 0)

    @property
    def gathered_values(self) -> int:
        """Values that are gathered for its layer to read; a memory is read where it lies."""
        if self.recurrent:
            return self.layer.inputs
        return self.channels * self.filters.count if self.filters else 0

    @property
    def widest(self) -> int:
        """Values of its widest signal."""
        return max(self.channels, self.layer.units, self.projection.units if self.projection else 0)


@dataclass(frozen=True)
class Network:
    """The tables of a whole network."""

    precision: str
    """`float32` or `int8`."""
    input_factor: Array
    input_offset: Array
    input_scale: float
    """Real value of 1 in the normalised features."""
    stages: tuple[Stage, ...]
    readout: Layer


def float_network(network: FoldedNetwork) -> Network:
    """Lay a folded network out for `edgewise_arithmetic_float32.h`."""
    return Network(
        precision="float32",
        input_factor=network.input_scale,
        input_offset=network.input_offset,
        input_scale=1.0,
        stages=tuple(_stage(stage) for stage in network.stages),
        readout=_layer(network.readout_kernel, network.readout_bias),
    )


def joined_kernel(stage: FoldedStage) -> Array:
    """Return the weights of all that a stage's layer reads: of a recurrent one, its own last output too."""
    if stage.recurrent_kernel is None:
        return stage.kernel
    return np.concatenate([stage.kernel, stage.recurrent_kernel])


def _stage(stage: FoldedStage) -> Stage:
    kernel = joined_kernel(stage)
    memory, filters = None, None
    if stage.column is not None and stage.transition is not None:
        memory = Memory(stage.transition, stage.column)
        kernel = _by_value(kernel, stage.channels, memory.order if stage.filters is None else stage.filters.shape[-1])
    if stage.filters is not None:
        filters = Filters(stage.filters.transpose(2, 1, 0).ravel(), stage.filters.shape[-1])
    projection = None
    if stage.projection_kernel is not None and stage.projection_bias is not None:
        projection = _layer(stage.projection_kernel, stage.projection_bias)
    return Stage(
        layer=_layer(kernel, stage.bias, stage.activation),
        channels=stage.channels or len(stage.kernel),
        memory=memory,
        filters=filters,
        projection=projection,
        stride=stage.stride,
        residual=stage.residual,
        recurrent=stage.recurrent_kernel is not None,
    )


def _by_value(kernel: Array, channels: int, values: int) -> Array:
    """Order the rows that read `values` of each channel by value, then channel; rows after them stay."""
    read = channels * values
    ordered = kernel[:read].reshape(channels, values, -1).transpose(1, 0, 2).reshape(read, -1)
    return np.concatenate([ordered, kernel[read:]])


def _layer(kernel: Array, bias: Array, activation: str = "linear") -> Layer:
    """Lay a kernel (inputs, units) out in blocks of units: (blocks, inputs, BLOCK)."""
    inputs, units = kernel.shape
    padded = np.pad(kernel, ((0, 0), (0, -units % BLOCK)))
    return Layer(padded.reshape(inputs, -1, BLOCK).transpose(1, 0, 2).ravel(), bias, inputs, activation)
