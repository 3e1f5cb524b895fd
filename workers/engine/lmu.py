"""The Legendre memory: a linear system that holds a sliding window of its input as Legendre coefficients.

A memory of order q and window θ keeps, for each input channel, q coefficients m of the last θ steps:

    m[t] = A m[t-1] + B u[t]

with A, B the zero-order-hold discretisation of (Voelker, Kajić & Eliasmith 2019, equations 1 and 2)

    a_ij = (2i+1)/θ · (-1 if i < j else (-1)^(i-j+1)),    b_i = (2i+1)/θ · (-1)^i.

Nothing in it is trained. Over a whole clip it is therefore one constant matrix product (Chilkuri & Eliasmith 2021,
equation 24), which training uses; devices use the recurrence. Both forms are here and agree within rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import ops
from scipy.linalg import expm

FloatArray = npt.NDArray[np.floating[Any]]


@lru_cache(maxsize=64)
def discretize(order: int, theta: float) -> tuple[FloatArray, FloatArray]:
    """Return A (order, order) and B (order,) for steps of one frame, in float64.

    The zero-order hold is exact: exp of the block matrix [[a, b], [0, 0]] holds A and B in its upper rows.
    """
    i = np.arange(order)[:, None]
    j = np.arange(order)[None, :]
    scale = (2.0 * i + 1.0) / theta
    a = scale * np.where(i < j, -1.0, (-1.0) ** (i - j + 1))
    b = scale * (-1.0) ** i
    block = np.zeros((order + 1, order + 1))
    block[:order, :order], block[:order, order:] = a, b
    held = expm(block)
    return held[:order, :order], held[:order, order]


def impulse_response(order: int, theta: float, length: int) -> FloatArray:
    """Return h (length, order): the memory t steps after a unit impulse, h[t] = A^t B, in float64."""
    transition, column = discretize(order, theta)
    response = np.empty((length, order))
    for step in range(length):
        response[step] = column
        column = transition @ column
    return response


def memory_matrix(order: int, theta: float, length: int, frames: Sequence[int]) -> FloatArray:
    """Return W (length, len(frames), order): the memory at the given frames is `einsum('s,sfq->fq', u, W)`.

    W[s, f, q] = h[frames[f] - s, q] where frame f lies at or after step s, else 0. Only the rows that the next stage
    reads are made: all frames, every k-th, or the last alone.
    """
    response = np.concatenate([impulse_response(order, theta, length), np.zeros((1, order))])
    lag = np.asarray(frames)[None, :] - np.arange(length)[:, None]
    return response[np.where(lag >= 0, lag, length)]


class LegendreMemory(keras.layers.Layer):  # type: ignore[misc]
    """A memory of each channel, over whole clips: (batch, steps, channels) → (batch, frames, channels · order).

    The coefficients of one channel stand together. `stride` reads every k-th frame, beginning with the first;
    `last_only` reads the last of these frames alone.
    """

    def __init__(self, order: int, theta: float, stride: int = 1, last_only: bool = False, **kwargs: Any) -> None:
        super().__init__(trainable=False, **kwargs)
        self.order = order
        self.theta = theta
        self.stride = stride
        self.last_only = last_only

    def frames(self, steps: int) -> list[int]:
        """List the frames that are read in a clip of `steps` steps."""
        read = list(range(0, steps, self.stride))
        return read[-1:] if self.last_only else read

    def call(self, inputs: Any) -> Any:
        """Apply the constant matrix."""
        _, steps, channels = inputs.shape
        frames = self.frames(steps)
        matrix = memory_matrix(self.order, self.theta, steps, frames).reshape(steps, -1)
        by_channel = ops.transpose(inputs, (0, 2, 1))
        product = ops.matmul(by_channel, ops.convert_to_tensor(matrix.astype("float32"), dtype=self.compute_dtype))
        memory = ops.transpose(ops.reshape(product, (-1, channels, len(frames), self.order)), (0, 2, 1, 3))
        return ops.reshape(memory, (-1, len(frames), channels * self.order))

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, int, int]:
        """Return (batch, frames, channels · order)."""
        batch, steps, channels = input_shape
        assert steps is not None
        assert channels is not None
        return batch, len(self.frames(steps)), channels * self.order


def memory_step(memory: Any, inputs: Any, transition: Any, column: Any) -> Any:
    """One step of the recurrence, for each channel: the form that devices compute.

    Args:
        memory: (batch, channels · order), zero at the start of a clip.
        inputs: (batch, channels).
        transition: A, (order, order).
        column: B, (order,).

    Returns:
        The next memory, (batch, channels · order).
    """
    channels, order = inputs.shape[-1], column.shape[-1]
    before = ops.reshape(memory, (-1, channels, order))
    after = ops.matmul(before, ops.transpose(transition)) + inputs[:, :, None] * column
    return ops.reshape(after, (-1, channels * order))


class HiddenCell(keras.layers.Layer):  # type: ignore[misc]
    """One step of a hidden state: h[t] = f(z[t] + W h[t-1]), where z holds what input and memory bring.

    With z[t] = W_x x[t] + W_m m[t] this is the hidden state of the LMU (Voelker, Kajić & Eliasmith 2019).
    A cell for `keras.layers.RNN`: (batch, units), [(batch, units)] → the same.
    """

    def __init__(self, units: int, activation: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.state_size = self.output_size = units
        self.activation = keras.activations.get(activation)

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Make W, orthogonal at first, so that neither state nor gradient vanishes in a clip."""
        shape = (self.state_size, self.state_size)
        self.recurrent_kernel = self.add_weight(shape=shape, initializer="orthogonal", name="recurrent_kernel")

    def call(self, inputs: Any, states: Sequence[Any], training: bool | None = None) -> tuple[Any, list[Any]]:
        """Return the next state, as output and as state."""
        hidden = self.activation(inputs + ops.matmul(states[0], self.recurrent_kernel))
        return hidden, [hidden]
