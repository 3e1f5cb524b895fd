"""Networks in their two forms, from one description and one set of weights.

The training form is a Keras model over whole clips. The streaming form computes one frame at a time with constant
state, as devices do; batch normalisation is folded into the weights before it. Both give the same scores.

Weights travel between the two as a dictionary of arrays with stable names: `input.mean`, `0.kernel`, `0.beta`, …,
`readout.bias`. That is also what `weights.py` stores.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from edgewise.spec.network import (
    AnyStage,
    DenseStage,
    KerasLMUStage,
    LMUStage,
    NetworkSpec,
    RecurrentLMUStage,
    stage_width,
)
from workers.engine.errors import EngineError
from workers.engine.lmu import HiddenCell, LegendreMemory, discretize, filtered, memory_step

Arrays = Mapping[str, npt.NDArray[np.float32]]

NORMALISATION = {"epsilon": 1e-3, "momentum": 0.99}


# --- training form ----------------------------------------------------------------------------------------------------


def build(
    spec: NetworkSpec,
    frames: int,
    features: int,
    labels: int,
    dropout: float = 0.0,
    *,
    seed: int = 0,
    mixed_precision: bool = False,
) -> keras.Model:
    """Make the training form: (batch, frames, features) → logits (batch, labels).

    Args:
        spec: the stages.
        frames: of a clip.
        features: values of one frame.
        labels: scores.
        dropout: share of values before the readout that training drops.
        seed: of the dropout; initial weights follow `keras.utils.set_random_seed`.
        mixed_precision: compute in bfloat16; weights stay in float32.
    """
    with _dtype_policy("mixed_bfloat16" if mixed_precision else "float32"):
        return _build(spec, keras.Input((frames, features)), labels, keras.layers.Dropout(dropout, seed=seed))


@contextmanager
def _dtype_policy(name: str) -> Iterator[None]:
    """Let all layers made inside compute in this precision, and none that are made afterwards."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _build(spec: NetworkSpec, inputs: Any, labels: int, dropout: Any) -> keras.Model:
    signal = keras.layers.BatchNormalization(center=False, scale=False, name="input", **NORMALISATION)(inputs)
    for index, stage in enumerate(spec.stages):
        signal = _training_stage(stage, index, signal, last=index == len(spec.stages) - 1)
    return keras.Model(inputs, keras.layers.Dense(labels, name="readout")(dropout(signal)))


def _training_stage(stage: AnyStage, index: int, signal: Any, *, last: bool) -> Any:
    if isinstance(stage, KerasLMUStage):
        return _keras_lmu(stage, index)(signal)
    read = signal
    if isinstance(stage, LMUStage):
        memory = LegendreMemory(
            stage.order, stage.theta, stage.stride, last, stage.filters, name=f"{index}_filters"
        )  # fmt: skip
        read = memory(signal)
    elif isinstance(stage, RecurrentLMUStage):
        memory = LegendreMemory(stage.order, stage.theta, name=f"{index}_memory")(signal)
        read = keras.layers.Concatenate(name=f"{index}_read")([memory, signal])
    hidden = keras.layers.Dense(stage.units, use_bias=False, name=f"{index}_dense")(read)
    hidden = keras.layers.BatchNormalization(name=f"{index}_norm", **NORMALISATION)(hidden)
    if isinstance(stage, RecurrentLMUStage):
        cell = HiddenCell(stage.units, stage.activation, name=f"{index}_cell")
        return keras.layers.RNN(cell, return_sequences=not last, name=f"{index}_hidden")(hidden)
    hidden = keras.layers.Activation(stage.activation, name=f"{index}_activation")(hidden)
    if isinstance(stage, LMUStage):
        if stage.projection:
            hidden = keras.layers.Dense(stage.projection, name=f"{index}_projection")(hidden)
        if stage.residual:
            hidden = keras.layers.Add(name=f"{index}_residual")([hidden, signal[:, :: stage.stride]])
        if last:
            hidden = keras.layers.Reshape((stage_width(stage),), name=f"{index}_last")(hidden)
    return hidden


def _keras_lmu(stage: KerasLMUStage, index: int) -> Any:
    if keras.backend.backend() != "tensorflow":
        raise EngineError(
            "needs-tensorflow",
            "The layers of keras-lmu compute with TensorFlow alone, and this worker trains with another library.",
            "Choose another network, or set EDGEWISE_BACKEND=tensorflow where the worker runs.",
        )
    import keras_lmu

    class Channels(keras_lmu.LMU):  # type: ignore[misc]
        """keras-lmu's layer with one memory for each input channel."""

        def build(self, input_shape: Sequence[int | None]) -> None:
            self.memory_d = input_shape[-1]
            super().build(input_shape)

    hidden = keras.layers.Dense(stage.units, activation=stage.activation, name=f"{index}_dense")
    return Channels(
        1, stage.order, stage.theta, hidden, kernel_initializer=None, return_sequences=False, name=f"{index}_keras_lmu"
    )


def synchronize(model: keras.Model) -> None:
    """Let batch normalisation take its statistics from the whole batch where several devices share it."""
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.synchronized = True


def arrays_of(model: keras.Model) -> dict[str, npt.NDArray[np.float32]]:
    """Copy the weights of a training form."""
    return {name: np.asarray(variable.numpy(), dtype=np.float32) for name, variable in named_variables(model)}


def assign(model: keras.Model, arrays: Arrays) -> None:
    """Set the weights of a training form; all of them must be there, in the right shapes."""
    for name, variable in named_variables(model):
        variable.assign(arrays[name])


def named_variables(model: keras.Model) -> Iterator[tuple[str, Any]]:
    """List the weights and statistics of a training form by the names under which they are stored."""
    kinds = {"kernel": "kernel", "bias": "bias", "gamma": "gamma", "beta": "beta", "moving_mean": "mean",
             "moving_variance": "variance", "recurrent_kernel": "recurrent_kernel"}  # fmt: skip
    for layer in model.layers:
        place, _, part = layer.name.partition("_")
        prefix = f"{place}.{part}" if part in ("filters", "projection") else place
        for variable in layer.weights:
            kind = variable.path.rsplit("/", 1)[-1]
            if kind in kinds:
                yield f"{prefix}.{kinds[kind]}", variable


# --- streaming form ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class FoldedStage:
    """One stage as a device computes it.

    x → [memory m with `transition`, `column`] → [m read by `filters`] → m `kernel` + `bias` → activation →
    [`projection_kernel`, `projection_bias`] → [+ x]. With a `recurrent_kernel` the stage has a hidden state h as well,
    which is its output: h ← activation([m, x] `kernel` + `bias` + h `recurrent_kernel`). Arrays are float32; what a
    stage does not have is None.
    """

    activation: str
    kernel: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]
    transition: npt.NDArray[np.float32] | None = None
    column: npt.NDArray[np.float32] | None = None
    filters: npt.NDArray[np.float32] | None = None
    projection_kernel: npt.NDArray[np.float32] | None = None
    projection_bias: npt.NDArray[np.float32] | None = None
    recurrent_kernel: npt.NDArray[np.float32] | None = None
    residual: bool = False
    stride: int = 1
    channels: int = 0

    @property
    def state_sizes(self) -> list[int]:
        """Values that the stage carries from frame to frame: its memory, and its hidden state."""
        memory = [] if self.column is None else [self.channels * len(self.column)]
        return memory if self.recurrent_kernel is None else [*memory, int(self.recurrent_kernel.shape[0])]


@dataclass(frozen=True)
class FoldedNetwork:
    """A whole network as a device computes it: x · `input_scale` + `input_offset`, the stages, the readout."""

    input_scale: npt.NDArray[np.float32]
    input_offset: npt.NDArray[np.float32]
    stages: tuple[FoldedStage, ...]
    readout_kernel: npt.NDArray[np.float32]
    readout_bias: npt.NDArray[np.float32]

    @property
    def features(self) -> int:
        """Values of one input frame."""
        return len(self.input_scale)

    @property
    def labels(self) -> int:
        """Scores."""
        return int(self.readout_bias.shape[0])

    @property
    def period(self) -> int:
        """Frames after which the strided stages are in step again."""
        return prod(stage.stride for stage in self.stages)

    @property
    def state_shapes(self) -> list[int]:
        """Sizes of the states, without batch: the phase first where a stage is strided, then those of each stage."""
        phase = [1] if self.period > 1 else []
        return phase + [size for stage in self.stages for size in stage.state_sizes]


def fold(spec: NetworkSpec, arrays: Arrays) -> FoldedNetwork:
    """Fold batch normalisation into the weights of the stages (in float64)."""
    scale = 1 / np.sqrt(arrays["input.variance"].astype(np.float64) + NORMALISATION["epsilon"])
    return FoldedNetwork(
        input_scale=_float32(scale),
        input_offset=_float32(-arrays["input.mean"] * scale),
        stages=tuple(_fold_stage(stage, str(index), arrays) for index, stage in enumerate(spec.stages)),
        readout_kernel=_float32(arrays["readout.kernel"]),
        readout_bias=_float32(arrays["readout.bias"]),
    )


def _fold_stage(stage: AnyStage, place: str, arrays: Arrays) -> FoldedStage:
    kernel = arrays[f"{place}.kernel"].astype(np.float64)
    bias = arrays[f"{place}.bias" if isinstance(stage, KerasLMUStage) else f"{place}.beta"].astype(np.float64)
    if not isinstance(stage, KerasLMUStage):
        variance = arrays[f"{place}.variance"].astype(np.float64)
        scale = arrays[f"{place}.gamma"] / np.sqrt(variance + NORMALISATION["epsilon"])
        kernel, bias = kernel * scale, bias - arrays[f"{place}.mean"] * scale
    memory: dict[str, Any] = {}
    if not isinstance(stage, DenseStage):
        transition, column = discretize(stage.order, stage.theta)
        memory = {"transition": _float32(transition), "column": _float32(column)}
        memory["channels"] = len(kernel) // _values_of_a_channel(stage)
    if isinstance(stage, RecurrentLMUStage):
        memory["recurrent_kernel"] = _float32(arrays[f"{place}.recurrent_kernel"])
    if isinstance(stage, LMUStage):
        memory |= {"residual": stage.residual, "stride": stage.stride}
        if stage.filters:
            memory["filters"] = _float32(arrays[f"{place}.filters.kernel"])
        if stage.projection:
            memory["projection_kernel"] = _float32(arrays[f"{place}.projection.kernel"])
            memory["projection_bias"] = _float32(arrays[f"{place}.projection.bias"])
    return FoldedStage(stage.activation, _float32(kernel), _float32(bias), **memory)


def _values_of_a_channel(stage: LMUStage | RecurrentLMUStage | KerasLMUStage) -> int:
    """Values that the dense layer of a stage reads for each channel of its input."""
    if isinstance(stage, RecurrentLMUStage):
        return stage.order + 1
    return (stage.filters if isinstance(stage, LMUStage) else 0) or stage.order


def streaming_step(network: FoldedNetwork, frame: Any, states: Sequence[Any]) -> tuple[Any, list[Any]]:
    """Compute one frame: (batch, features), states of `state_shapes` → logits (batch, labels), next states.

    All states are zero at the start of a clip. After frame T the logits are those that the training form gives for the
    first T frames. A strided stage takes every frame into its memory, but the stages after it only go on at frames 0,
    k, 2k, …; between these they keep their state, so the logits stay as they were.
    """
    waiting = iter(states)
    phase = next(waiting) if network.period > 1 else None
    updated = [] if phase is None else [_next_phase(phase, network.period)]
    signal = frame * network.input_scale + network.input_offset
    stride = 1
    for stage in network.stages:
        before = [next(waiting) for _ in stage.state_sizes]
        after = _next_states(stage, signal, before)
        if stride > 1:
            due = _divides(stride, phase)
            after = [ops.where(due, new, old) for new, old in zip(after, before, strict=True)]
        updated += after
        signal = _output(stage, signal, after)
        stride *= stage.stride
    return ops.matmul(signal, network.readout_kernel) + network.readout_bias, updated


def _next_states(stage: FoldedStage, signal: Any, states: Sequence[Any]) -> list[Any]:
    if stage.column is None:
        return []
    memory = memory_step(states[0], signal, stage.transition, stage.column)
    if stage.recurrent_kernel is None:
        return [memory]
    read = ops.matmul(ops.concatenate([memory, signal], axis=-1), stage.kernel) + stage.bias
    return [memory, _activate(stage, read + ops.matmul(states[1], stage.recurrent_kernel))]


def _output(stage: FoldedStage, signal: Any, states: Sequence[Any]) -> Any:
    if stage.recurrent_kernel is not None:
        return states[1]
    read = states[0] if states else signal
    if stage.filters is not None:
        read = filtered(read, stage.filters)
    hidden = _activate(stage, ops.matmul(read, stage.kernel) + stage.bias)
    if stage.projection_kernel is not None:
        hidden = ops.matmul(hidden, stage.projection_kernel) + stage.projection_bias
    return hidden + signal if stage.residual else hidden


def _activate(stage: FoldedStage, values: Any) -> Any:
    return getattr(keras.activations, "silu" if stage.activation == "swish" else stage.activation)(values)


def _next_phase(phase: Any, period: int) -> Any:
    return ops.where(phase >= period - 1, ops.zeros_like(phase), phase + 1)


def _divides(stride: int, phase: Any) -> Any:
    return ops.equal(phase - stride * ops.floor(phase / stride), 0)


def _float32(array: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    return np.ascontiguousarray(array, dtype=np.float32)
