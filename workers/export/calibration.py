"""The signals inside a folded network on real recordings: what gives integers their ranges."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit, softmax

from workers.engine.networks import FoldedNetwork, FoldedStage

FloatArray = npt.NDArray[np.floating[Any]]

ACTIVATIONS: dict[str, Callable[[FloatArray], FloatArray]] = {
    "linear": lambda values: values,
    "relu": lambda values: np.maximum(values, 0),
    "sigmoid": expit,
    "softmax": lambda values: softmax(values, axis=-1),
    "swish": lambda values: values * expit(values),
}


@dataclass(frozen=True)
class Signals:
    """What one stage computes for whole clips, (clips, frames, values)."""

    memory: FloatArray | None
    """After each frame of the stage's input; the others are of the frames that the stage reads."""
    read: FloatArray
    """What the dense layer reads, without a hidden state."""
    summed: FloatArray
    """What the dense layer gives before its activation."""
    hidden: FloatArray
    """What it gives after it."""
    output: FloatArray


def observe(network: FoldedNetwork, signal: FloatArray) -> Iterator[Signals]:
    """Run the stages one after the other over normalised features of whole clips, (clips, frames, features)."""
    for stage in network.stages:
        memory = _memories(stage, signal)
        read = signal if memory is None else memory[:, :: stage.stride]
        if stage.filters is not None:
            channels, order, count = stage.filters.shape
            coefficients = read.reshape(*read.shape[:-1], channels, order)
            read = np.einsum("...co,cof->...cf", coefficients, stage.filters).reshape(*read.shape[:2], channels * count)
        if stage.recurrent_kernel is not None:
            read = np.concatenate([read, signal], axis=-1)
            summed, hidden = _recurrent(stage, read)
        else:
            summed = read @ stage.kernel + stage.bias
            hidden = ACTIVATIONS[stage.activation](summed)
        output = hidden
        if stage.projection_kernel is not None and stage.projection_bias is not None:
            output = hidden @ stage.projection_kernel + stage.projection_bias
        if stage.residual:
            output = output + signal[:, :: stage.stride]
        yield Signals(memory, read, summed, hidden, output)
        signal = output


def _memories(stage: FoldedStage, signal: FloatArray) -> FloatArray | None:
    """Return the memory after each frame, (clips, frames, channels · order)."""
    if stage.column is None or stage.transition is None:
        return None
    clips, frames, channels = signal.shape
    memory = np.zeros((clips, frames + 1, channels, len(stage.column)), np.float32)
    for frame in range(frames):
        memory[:, frame + 1] = memory[:, frame] @ stage.transition.T + signal[:, frame, :, None] * stage.column
    return memory[:, 1:].reshape(clips, frames, -1)


def _recurrent(stage: FoldedStage, read: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the hidden state after each frame, before its activation and after it."""
    assert stage.recurrent_kernel is not None
    brought: FloatArray = read @ stage.kernel + stage.bias
    summed, hidden = np.zeros_like(brought), np.zeros_like(brought)
    last: FloatArray = np.zeros_like(brought[:, 0])
    for frame in range(brought.shape[1]):
        summed[:, frame] = brought[:, frame] + last @ stage.recurrent_kernel
        hidden[:, frame] = last = ACTIVATIONS[stage.activation](summed[:, frame])
    return summed, hidden
