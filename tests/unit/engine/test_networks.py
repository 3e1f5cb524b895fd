"""Networks: both forms give the same scores, and cost what the specification says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

import keras
import keras_lmu
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from edgewise.spec.network import (
    NETWORKS,
    Activation,
    DenseStage,
    KerasLMUStage,
    LMUStage,
    NetworkSpec,
    RecurrentLMUStage,
)
from tests.unit.engine.tones import TINY
from workers.engine import networks

FEATURES = 7
LABELS = 4
LONGEST = 60


def recurrent_stages() -> st.SearchStrategy[RecurrentLMUStage]:
    """Draw a stage with a hidden state, of activations that do not let the state grow without bound."""
    activations = st.sampled_from(["sigmoid", "softmax", "relu"])
    return st.builds(
        RecurrentLMUStage, order=st.integers(1, 5), theta=st.floats(2, 20), units=st.integers(2, 6),
        activation=activations,
    )  # fmt: skip


@st.composite
def specifications(draw: st.DrawFn) -> NetworkSpec:
    """Draw any network of a few small stages."""
    activations = st.sampled_from(get_args(Activation))
    widths, orders, thetas = st.integers(2, 6), st.integers(1, 5), st.floats(2, 20)
    stages: list[Any] = []
    for _ in range(draw(st.integers(0, 3))):
        kind = draw(st.sampled_from(["dense", "lmu", "lmu-recurrent"]))
        if kind == "dense":
            stages.append(DenseStage(units=draw(widths), activation=draw(activations)))
            continue
        if kind == "lmu-recurrent":
            stages.append(draw(recurrent_stages()))
            continue
        residual = bool(stages) and draw(st.booleans())
        projection = networks.stage_width(stages[-1]) if residual else draw(st.integers(0, 6))
        stages.append(
            LMUStage(
                order=draw(orders), theta=draw(thetas), units=draw(widths), activation=draw(activations),
                projection=projection, residual=residual, stride=draw(st.integers(1, 3)),
                filters=draw(st.integers(0, 2)),
            )
        )  # fmt: skip
    order, theta, units, activation = draw(orders), draw(thetas), draw(widths), draw(activations)
    kind = draw(st.sampled_from(["lmu", "lmu-recurrent", "keras-lmu"]))
    if kind == "lmu-recurrent":
        stages.append(draw(recurrent_stages()))
    elif kind == "keras-lmu":
        stages.append(KerasLMUStage(order=order, theta=theta, units=units, activation=activation))
    else:
        stages.append(
            LMUStage(
                order=order, theta=theta, units=units, activation=activation, projection=draw(st.integers(0, 6)),
                filters=draw(st.integers(0, 2)),
            )
        )  # fmt: skip
    return NetworkSpec(stages=stages)


def random_arrays(
    spec: NetworkSpec, seed: int, features: int = FEATURES, labels: int = LABELS
) -> dict[str, npt.NDArray[np.float32]]:
    """Draw all weights and statistics, so that folding has something to fold."""
    generator = np.random.default_rng(seed)
    model = networks.build(spec, 3, features, labels)
    arrays = {}
    for name, array in networks.arrays_of(model).items():
        if name.endswith("variance"):
            arrays[name] = generator.uniform(0.3, 3, array.shape).astype(np.float32)
        elif name.endswith("kernel"):
            arrays[name] = generator.normal(0, len(array) ** -0.5, array.shape).astype(np.float32)
        else:
            arrays[name] = generator.normal(0.5, 0.5, array.shape).astype(np.float32)
    return arrays


def stream(
    spec: NetworkSpec, arrays: networks.Arrays, signal: npt.NDArray[np.float32]
) -> list[npt.NDArray[np.float32]]:
    """Return the logits after each frame."""
    folded = networks.fold(spec, arrays)
    states: list[Any] = [np.zeros((len(signal), size), np.float32) for size in folded.state_shapes]
    found = []
    for frame in range(signal.shape[1]):
        logits, states = networks.streaming_step(folded, signal[:, frame], states)
        assert [tuple(state.shape) for state in states] == [(len(signal), size) for size in folded.state_shapes]
        found.append(np.asarray(logits))
    return found


def assert_forms_agree(
    spec: NetworkSpec, lengths: Sequence[int], batch: int, seed: int, features: int = FEATURES
) -> None:
    arrays = random_arrays(spec, seed, features)
    signal = np.random.default_rng(seed).normal(1, 1, (batch, max(lengths), features)).astype(np.float32)
    streamed = stream(spec, arrays, signal)
    for length in lengths:
        model = networks.build(spec, length, features, LABELS)
        networks.assign(model, arrays)
        whole = np.asarray(model(signal[:, :length]))
        np.testing.assert_allclose(streamed[length - 1], whole, atol=1e-4, err_msg=f"after {length} frames")


def test_forms_agree_after_every_frame() -> None:
    """TINY has a dense stage, a strided residual one, and a last one without projection."""
    assert_forms_agree(TINY, range(1, 31), batch=5, seed=0)


def test_strides_follow_each_other() -> None:
    spec = NetworkSpec(
        stages=[
            LMUStage(order=2, theta=3, units=4, stride=2),
            LMUStage(order=2, theta=3, units=4, stride=3, residual=True),
            DenseStage(units=3),
            LMUStage(order=3, theta=4, units=5),
        ]
    )
    assert networks.fold(spec, random_arrays(spec, 0)).state_shapes == [1, 14, 8, 9]
    assert_forms_agree(spec, range(1, 16), batch=2, seed=0)


RECURRENT = NetworkSpec(
    stages=[
        RecurrentLMUStage(order=3, theta=4, units=6),
        LMUStage(order=2, theta=3, units=4, stride=2),
        RecurrentLMUStage(order=2, theta=5, units=5, activation="sigmoid"),
        RecurrentLMUStage(order=3, theta=4, units=5),
    ]
)


def test_hidden_states_stream() -> None:
    """Also behind a stride: a hidden state waits as a memory does."""
    arrays = random_arrays(RECURRENT, 0)
    assert networks.fold(RECURRENT, arrays).state_shapes == [1, 3 * FEATURES, 6, 12, 8, 5, 15, 5]
    assert_forms_agree(RECURRENT, range(1, 16), batch=3, seed=0)


@given(stage=recurrent_stages(), length=st.integers(1, 20), seed=st.integers(0, 1000))
@settings(max_examples=10)
def test_a_hidden_state_is_that_of_keras_lmu(stage: RecurrentLMUStage, length: int, seed: int) -> None:
    """keras-lmu's own layer with a recurrent hidden cell that reads memory and input, and the same weights."""
    spec = NetworkSpec(stages=[stage])
    arrays = random_arrays(spec, seed)
    folded = networks.fold(spec, arrays)
    cell = keras.layers.SimpleRNNCell(stage.units, activation=stage.activation)
    theirs = keras_lmu.LMU(FEATURES, stage.order, stage.theta, cell, input_to_hidden=True, kernel_initializer=None)
    signal = np.random.default_rng(seed).standard_normal((2, length, FEATURES)).astype(np.float32)
    theirs(signal)
    cell.set_weights([folded.stages[0].kernel, folded.stages[0].recurrent_kernel, folded.stages[0].bias])
    hidden = np.asarray(theirs(signal * folded.input_scale + folded.input_offset))
    expected = hidden @ folded.readout_kernel + folded.readout_bias
    np.testing.assert_allclose(stream(spec, arrays, signal)[-1], expected, atol=1e-4)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("batch", [1, 5])
def test_offered_networks_agree(name: str, batch: int) -> None:
    assert_forms_agree(NETWORKS[name], [1, 2, 12, 49, LONGEST], batch, seed=batch, features=40)


@given(spec=specifications(), length=st.integers(1, 30), batch=st.sampled_from([1, 5]), seed=st.integers(0, 1000))
@settings(max_examples=15)
def test_custom_networks_agree(spec: NetworkSpec, length: int, batch: int, seed: int) -> None:
    assert_forms_agree(spec, [length], batch, seed)


@given(spec=specifications())
@settings(max_examples=15)
def test_costs_count_what_a_device_holds(spec: NetworkSpec) -> None:
    folded = networks.fold(spec, random_arrays(spec, 0))
    cost = spec.cost(FEATURES, LABELS, frames_per_second=50)
    biases = [folded.input_offset, folded.readout_bias]
    kernels, constants = [folded.input_scale, folded.readout_kernel], []
    for stage in folded.stages:
        trained = (stage.kernel, stage.filters, stage.projection_kernel, stage.recurrent_kernel)
        kernels += [array for array in trained if array is not None]
        biases += [array for array in (stage.bias, stage.projection_bias) if array is not None]
        constants += [array for array in (stage.transition, stage.column) if array is not None]
    assert cost.parameters == _size(kernels) + _size(biases)
    assert cost.int8_bytes == _size(kernels) + 4 * _size(biases) + _size(constants)
    assert cost.state_bytes == sum(folded.state_shapes[folded.period > 1 :])


def _size(arrays: Sequence[npt.NDArray[Any]]) -> int:
    return sum(array.size for array in arrays)


def test_a_strided_stage_works_less_often() -> None:
    """Counted by hand: memory at each frame, what reads it at every second, all that follows too."""
    spec = NetworkSpec(stages=[LMUStage(order=3, theta=5, units=8, stride=2), LMUStage(order=4, theta=5, units=6)])
    frame = FEATURES + FEATURES * (9 + 3)
    every_second = FEATURES * 3 * 8 + 8 * (16 + 4) + 8 * 4 * 6 + 6 * LABELS
    assert spec.cost(FEATURES, LABELS, 50).macs_per_second == pytest.approx(50 * (frame + every_second / 2))


def test_weights_survive_a_round_trip_between_models() -> None:
    arrays = random_arrays(TINY, 1)
    model = networks.build(TINY, 9, FEATURES, LABELS)
    networks.assign(model, arrays)
    copied = networks.arrays_of(model)
    assert copied.keys() == arrays.keys()
    assert all(np.array_equal(copied[name], arrays[name]) for name in arrays)


def test_mixed_precision_stays_in_the_network_that_asked_for_it() -> None:
    mixed = networks.build(TINY, 9, FEATURES, LABELS, mixed_precision=True)
    assert mixed.get_layer("readout").compute_dtype == "bfloat16"
    assert {variable.dtype for _, variable in networks.named_variables(mixed)} == {"float32"}
    assert networks.build(TINY, 9, FEATURES, LABELS).get_layer("readout").compute_dtype == "float32"


@pytest.mark.parametrize(
    ("stages", "reason"),
    [
        ([DenseStage(units=3)], "last stage must be an LMU"),
        ([LMUStage(order=2, theta=4, units=3, stride=2)], "no stride and no residual"),
        (
            [LMUStage(order=2, theta=4, units=3, residual=True), LMUStage(order=2, theta=4, units=3)],
            "first stage cannot be residual",
        ),
        (
            [
                DenseStage(units=4),
                LMUStage(order=2, theta=4, units=3, residual=True),
                LMUStage(order=2, theta=4, units=3),
            ],
            "as many values as it takes: 4, not 3",
        ),
        (
            [KerasLMUStage(order=2, theta=4, units=3), LMUStage(order=2, theta=4, units=3)],
            "keras-lmu stage can only be the last",
        ),
    ],
)
def test_networks_that_cannot_be(stages: list[Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        NetworkSpec(stages=stages)
