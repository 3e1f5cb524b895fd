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
    """A memory of each channel, over whole clips: (batch, steps, channels) → (batch, frames, channels · values).

    The values of one channel stand together: its `order` coefficients, or, with `filters`, so many trained weighted
    sums of them. Such a sum is a causal filter of the channel, spanned by the memory's impulse responses: what a
    depthwise convolution is among convolutions (Howard et al. 2017), with `order` weights whatever the length.

    `stride` reads every k-th frame, beginning with the first; `last_only` reads the last of these frames alone.
    """

    def __init__(
        self, order: int, theta: float, stride: int = 1, last_only: bool = False, filters: int = 0, **kwargs: Any
    ) -> None:
        super().__init__(trainable=filters > 0, **kwargs)
        self.order = order
        self.theta = theta
        self.stride = stride
        self.last_only = last_only
        self.filters = filters

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Make the filters: (channels, order, filters)."""
        if self.filters:
            # The coefficients of white noise have about the variance of the noise: so has then a filter's output.
            spread = keras.initializers.RandomNormal(stddev=self.order**-0.5)
            self.kernel = self.add_weight((input_shape[-1], self.order, self.filters), spread, name="kernel")

    def frames(self, steps: int) -> list[int]:
        """List the frames that are read in a clip of `steps` steps."""
        read = list(range(0, steps, self.stride))
        return read[-1:] if self.last_only else read

    def call(self, inputs: Any) -> Any:
        """Apply the constant matrix, or the filters that are made from it."""
        steps = inputs.shape[1]
        matrix = memory_matrix(self.order, self.theta, steps, self.frames(steps)).astype("float32")
        return self._filtered(inputs, matrix) if self.filters else self._coefficients(inputs, matrix)

    def _coefficients(self, inputs: Any, matrix: FloatArray) -> Any:
        steps, frames, _ = matrix.shape
        channels = inputs.shape[-1]
        constant = ops.convert_to_tensor(matrix.reshape(steps, -1), dtype=self.compute_dtype)
        product = ops.matmul(ops.transpose(inputs, (0, 2, 1)), constant)
        memory = ops.transpose(ops.reshape(product, (-1, channels, frames, self.order)), (0, 2, 1, 3))
        return ops.reshape(memory, (-1, frames, channels * self.order))

    def _filtered(self, inputs: Any, matrix: FloatArray) -> Any:
        """One matrix product for each channel: never making the coefficients takes `order` times less work."""
        steps, frames, _ = matrix.shape
        channels = inputs.shape[-1]
        constant = ops.convert_to_tensor(matrix.transpose(2, 0, 1).reshape(self.order, -1), dtype=self.compute_dtype)
        filters = ops.reshape(ops.transpose(self.kernel, (0, 2, 1)), (-1, self.order))
        responses = ops.reshape(ops.matmul(filters, constant), (channels, self.filters, steps, frames))
        responses = ops.reshape(ops.transpose(responses, (0, 2, 1, 3)), (channels, steps, self.filters * frames))
        read = ops.matmul(ops.transpose(inputs, (2, 0, 1)), responses)
        by_frame = ops.transpose(ops.reshape(read, (channels, -1, self.filters, frames)), (1, 3, 0, 2))
        return ops.reshape(by_frame, (-1, frames, channels * self.filters))

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, int, int]:
        """Return (batch, frames, channels · values)."""
        batch, steps, channels = input_shape
        assert steps is not None
        assert channels is not None
        return batch, len(self.frames(steps)), channels * (self.filters or self.order)


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


def filtered(memory: Any, filters: Any) -> Any:
    """Read a memory by the filters of each channel, one frame at a time.

    Args:
        memory: (batch, channels · order).
        filters: (channels, order, filters).

    Returns:
        (batch, channels · filters), those of one channel together.
    """
    channels, order, count = filters.shape
    coefficients = ops.reshape(memory, (-1, channels, order, 1))
    return ops.reshape(ops.sum(coefficients * filters, axis=2), (-1, channels * count))


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
