"""A folded network in integers: weights in 8 bits, values and memories in 16.

Weights have one scale for each unit, values one for each signal, and memories one for each coefficient. What a sum is
made of may have different scales: they are multiplied into the weights before these are rounded, so a sum needs no
rescaling. The ranges of signals come from calibration on recordings; those of memories follow from their input's, so
no audio can make them overflow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from workers.engine.networks import FoldedNetwork, FoldedStage
from workers.export.c.network import Array, Filters, Layer, Memory, Network, Stage, joined_kernel
from workers.export.calibration import Signals, observe

FloatArray = npt.NDArray[np.floating[Any]]

LARGEST_INT8 = 127
LARGEST_INT16 = 32767
LARGEST_SUM = 2**31 - 2**17
"""Of products, with room for rounding."""
MARGIN = 2.0
"""Range of a signal as a multiple of the largest value that was seen: one of its 15 bits for what was not."""


@dataclass(frozen=True)
class Ranges:
    """Largest magnitudes that were seen in one stage."""

    read: float
    """In what filters make of its memory."""
    hidden: float
    """In its dense layer."""
    output: float

    @classmethod
    def of(cls, signals: Signals) -> Ranges:
        """Take the largest magnitudes of a stage's signals."""
        seen = (signals.read, signals.hidden, signals.output)
        return cls(*(float(np.abs(values).max()) for values in seen))


def int8_network(network: FoldedNetwork, features: FloatArray) -> Network:
    """Quantise a folded network for `edgewise_arithmetic_int8.h`.

    Args:
        network: in float32.
        features: of recordings like those it will hear, (clips, frames, features).
    """
    signal = features * network.input_scale + network.input_offset
    scale = input_scale = _value_scale(np.abs(signal).max())
    stages = []
    for stage, signals in zip(network.stages, observe(network, signal), strict=True):
        stages.append(_stage(stage, scale, Ranges.of(signals)))
        scale = (stages[-1].projection or stages[-1].layer).output_scale
    return Network(
        precision="int8",
        input_factor=network.input_scale,
        input_offset=network.input_offset,
        input_scale=input_scale,
        stages=tuple(stages),
        readout=_layer(network.readout_kernel * scale, network.readout_bias),
    )


# --- quantisation -----------------------------------------------------------------------------------------------------


def _stage(stage: FoldedStage, input_scale: float, ranges: Ranges) -> Stage:
    """Quantise a stage whose input has this scale."""
    memory, filters, scales = None, None, np.full(len(stage.kernel), input_scale)
    recurrent_scale = _value_scale(ranges.hidden)
    if stage.column is not None and stage.transition is not None:
        gains = _gains(stage)
        memory = _memory(stage, gains)
        scales = np.tile(gains * input_scale, stage.channels)
        if stage.filters is not None:
            filters, scale = _filters(stage.filters, gains * input_scale, ranges.read)
            scales = np.full(len(stage.kernel), scale)
    if stage.recurrent_kernel is not None:
        others = [np.full(stage.channels, input_scale), np.full(len(stage.recurrent_kernel), recurrent_scale)]
        scales = np.concatenate([scales, *others])
    has_projection = stage.projection_kernel is not None
    hidden_scale = _value_scale(ranges.hidden if has_projection else ranges.output)
    layer = _layer(joined_kernel(stage) * scales[:, None], stage.bias, stage.activation, hidden_scale)
    projection = None
    if stage.projection_kernel is not None and stage.projection_bias is not None:
        projection = _layer(
            stage.projection_kernel * hidden_scale, stage.projection_bias, output_scale=_value_scale(ranges.output)
        )
    return Stage(
        layer=layer,
        channels=stage.channels or len(stage.kernel),
        memory=memory,
        filters=filters,
        projection=projection,
        stride=stage.stride,
        residual=stage.residual,
        recurrent=stage.recurrent_kernel is not None,
        input_scale=input_scale,
    )


def _gains(stage: FoldedStage) -> FloatArray:
    """Return how large each coefficient can become, as a multiple of the largest input, (order,): Σ|h[t]|."""
    assert stage.transition is not None
    assert stage.column is not None
    # A memory forgets what is older than its window within a few windows more.
    transition, response = stage.transition.astype(np.float64), stage.column.astype(np.float64)
    total = np.zeros_like(response)
    while np.abs(response).max() > 1e-6:
        total += np.abs(response)
        response = transition @ response
    return total


def _memory(stage: FoldedStage, gains: FloatArray) -> Memory:
    """Quantise A and B for coefficients that are counted in multiples of their gains."""
    assert stage.transition is not None
    assert stage.column is not None
    joined = np.column_stack([stage.transition * gains[None, :], stage.column]) / gains[:, None]
    largest_sum = np.abs(joined).sum(axis=1).max() * (LARGEST_INT16 + 1)
    shift = min(
        int(np.floor(np.log2(LARGEST_SUM / largest_sum))), int(np.floor(np.log2(LARGEST_INT16 / np.abs(joined).max())))
    )
    rounded = np.round(joined * 2.0**shift).astype(np.int16)
    return Memory(rounded[:, :-1], rounded[:, -1], shift)


def _filters(kernel: Array, scales: FloatArray, largest: float) -> tuple[Filters, float]:
    """Quantise filters (channels, order, count) of coefficients with these scales; return their output's scale, too."""
    _, order, count = kernel.shape
    rows = (kernel * scales[None, :, None]).transpose(0, 2, 1).reshape(-1, order)
    weights, sum_scales = _rounded(rows)
    scale = _value_scale(largest)
    return Filters(weights.ravel(), count, (sum_scales / scale).astype(np.float32)), scale


def _layer(kernel: FloatArray, bias: Array, activation: str = "linear", output_scale: float = 1.0) -> Layer:
    """Quantise a kernel (inputs, units) that is multiplied with integers."""
    weights, sum_scales = _rounded(kernel.T)
    return Layer(weights.ravel(), bias, len(kernel), activation, sum_scales.astype(np.float32), output_scale)


def _rounded(rows: FloatArray) -> tuple[npt.NDArray[np.int8], FloatArray]:
    """Round weights (units, inputs), each row by a scale of its own that lets no sum overflow."""
    largest, sums = np.abs(rows).max(axis=1), np.abs(rows).sum(axis=1)
    most = LARGEST_SUM / (LARGEST_INT16 + 1) - rows.shape[1] / 2
    scales = np.maximum(np.maximum(largest / LARGEST_INT8, sums / most), np.finfo(np.float32).tiny)
    return np.round(rows / scales[:, None]).astype(np.int8), scales


def _value_scale(largest: float) -> float:
    """Return the scale of a signal whose values were seen up to this size; 1 where there was nothing but zeros."""
    return MARGIN * float(largest) / LARGEST_INT16 if largest > 0 else 1.0
