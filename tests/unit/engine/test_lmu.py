"""The Legendre memory against scipy and keras-lmu."""

from __future__ import annotations

import keras_lmu
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops
from scipy.signal import cont2discrete

from workers.engine.lmu import LegendreMemory, discretize, filtered, memory_matrix, memory_step

ORDERS = st.integers(1, 16)
# A window shorter than the order is no use: the memory cannot tell more values apart than it holds.
THETAS = st.floats(1, 200)


def continuous(order: int, theta: float) -> tuple[np.ndarray, np.ndarray]:
    """Write a and b out, entry by entry."""
    a = np.empty((order, order))
    b = np.empty((order, 1))
    for i in range(order):
        b[i] = (2 * i + 1) * (-1) ** i / theta
        for j in range(order):
            a[i, j] = (2 * i + 1) / theta * (-1 if i < j else (-1) ** (i - j + 1))
    return a, b


@given(order=ORDERS, theta=THETAS)
@settings(max_examples=40)
def test_discretization_is_scipys_zero_order_hold(order: int, theta: float) -> None:
    a, b = continuous(order, theta)
    expected_a, expected_b, *_ = cont2discrete((a, b, np.eye(order), np.zeros((order, 1))), 1.0, method="zoh")
    transition, column = discretize(order, theta)
    np.testing.assert_allclose(transition, expected_a, atol=1e-10)
    np.testing.assert_allclose(column, expected_b[:, 0], atol=1e-10)


@given(
    order=st.integers(1, 10),
    theta=st.floats(4, 60),
    length=st.integers(1, 30),
    channels=st.integers(1, 5),
    batch=st.sampled_from([1, 5]),
    stride=st.integers(1, 7),
    seed=st.integers(0, 1000),
)
@settings(max_examples=15)
def test_parallel_recurrent_and_keras_lmu_agree(
    order: int, theta: float, length: int, channels: int, batch: int, stride: int, seed: int
) -> None:
    """At all frames, at every k-th and at the last alone, in float32."""
    signal = np.random.default_rng(seed).standard_normal((batch, length, channels)).astype(np.float32)
    theirs = keras_lmu.LMU(channels, order, theta, None, kernel_initializer=None, return_sequences=True)
    expected = np.asarray(theirs(signal))
    np.testing.assert_allclose(recurrent(order, theta, signal), expected, atol=1e-5)
    for step, last_only in ((1, False), (stride, False), (stride, True), (1, True)):
        read = expected[:, ::step][:, -1:] if last_only else expected[:, ::step]
        layer = LegendreMemory(order, theta, step, last_only)
        np.testing.assert_allclose(np.asarray(layer(signal)), read, atol=1e-5)
        assert layer.compute_output_shape(signal.shape) == read.shape


def recurrent(order: int, theta: float, signal: np.ndarray) -> np.ndarray:
    """Return the memory after each step, as a device computes it."""
    transition, column = (array.astype(np.float32) for array in discretize(order, theta))
    memory = ops.zeros((len(signal), signal.shape[2] * order))
    found = []
    for step in range(signal.shape[1]):
        memory = memory_step(memory, signal[:, step], transition, column)
        found.append(np.asarray(memory))
    return np.stack(found, axis=1)


@given(
    order=st.integers(1, 8),
    filters=st.integers(1, 3),
    length=st.integers(1, 20),
    channels=st.integers(1, 4),
    stride=st.integers(1, 4),
    last_only=st.booleans(),
    seed=st.integers(0, 1000),
)
@settings(max_examples=15)
def test_filters_read_what_the_memory_holds(
    order: int, filters: int, length: int, channels: int, stride: int, last_only: bool, seed: int
) -> None:
    """Over the clip, where the coefficients are never made, and frame by frame."""
    generator = np.random.default_rng(seed)
    signal = generator.standard_normal((3, length, channels)).astype(np.float32)
    layer = LegendreMemory(order, 12.0, stride, last_only, filters)
    layer.build(signal.shape)
    weights = generator.standard_normal((channels, order, filters)).astype(np.float32)
    layer.kernel.assign(weights)
    coefficients = recurrent(order, 12.0, signal)[:, layer.frames(length)]
    expected = [np.asarray(filtered(coefficients[:, frame], weights)) for frame in range(coefficients.shape[1])]
    np.testing.assert_allclose(np.asarray(layer(signal)), np.stack(expected, axis=1), atol=1e-4)
    by_hand = np.einsum("bcq,cqk->bck", coefficients[:, -1].reshape(3, channels, order), weights)
    np.testing.assert_allclose(expected[-1], by_hand.reshape(3, -1), atol=1e-5)
    assert layer.compute_output_shape(signal.shape) == (3, len(expected), channels * filters)


def test_the_matrix_has_only_the_rows_that_are_read() -> None:
    assert memory_matrix(5, 10, 49, [48]).shape == (49, 1, 5)


def test_the_memory_holds_its_window() -> None:
    """Order q stores polynomials below degree q exactly: a constant is its first coefficient alone."""
    memory = np.asarray(LegendreMemory(6, 20)(np.ones((1, 60, 1), np.float32)))[0, -1]
    assert memory == pytest.approx([1, 0, 0, 0, 0, 0], abs=1e-3)
