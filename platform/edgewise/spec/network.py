"""Networks as data: stages, their cost, and the networks that the form offers.

A network reads frames of features and ends in one score for each label. Each stage is causal and has constant state,
so the same weights serve whole clips (training) and one frame at a time (devices). `workers/engine/networks.py` builds
both forms.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Activation = Literal["linear", "relu", "sigmoid", "softmax", "swish"]


class DenseStage(BaseModel):
    """A dense layer applied to each frame, batch-normalised before its activation."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    kind: Literal["dense"] = "dense"
    units: int = Field(ge=1, le=4096)
    activation: Activation = "relu"


class LMUStage(BaseModel):
    """A Legendre memory of each input channel, read by a dense layer.

    memory: `order` coefficients of the last `theta` frames of each channel → dense `units`, batch-normalised,
    `activation` → dense `projection` (0: none). With `residual` the stage's input is added to its output. The stage is
    evaluated at frames 0, `stride`, 2 `stride`, …; the last LMU stage of a network is read at its last frame alone.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    kind: Literal["lmu"] = "lmu"
    order: int = Field(ge=1, le=64)
    theta: float = Field(ge=1, le=4096, description="Length of the memory, in frames of the stage's input.")
    units: int = Field(ge=1, le=4096)
    activation: Activation = "relu"
    projection: int = Field(0, ge=0, le=4096)
    residual: bool = False
    stride: int = Field(1, ge=1, le=16)


class RecurrentLMUStage(BaseModel):
    """A Legendre memory of each input channel, and a hidden state that reads it, the input and itself.

    h[t] = activation(W_x x[t] + W_m m[t] + W_h h[t-1]) with `units` values, as in the LMU of Voelker, Kajić & Eliasmith
    2019, but the memory m takes the input as it is, so that it can be computed for a whole clip at once. W_x x + W_m m
    is batch-normalised. It trains more slowly than an `LMUStage`, whose frames do not wait for each other; the last one
    of a network is read at its last frame alone.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    kind: Literal["lmu-recurrent"] = "lmu-recurrent"
    order: int = Field(ge=1, le=64)
    theta: float = Field(ge=1, le=4096, description="Length of the memory, in frames of the stage's input.")
    units: int = Field(ge=1, le=4096)
    activation: Activation = "relu"


class KerasLMUStage(BaseModel):
    """`keras_lmu.LMU` with a dense hidden cell and no recurrent connections, as its authors publish it."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    kind: Literal["keras-lmu"] = "keras-lmu"
    order: int = Field(ge=1, le=64)
    theta: float = Field(ge=1, le=4096, description="Length of the memory, in frames.")
    units: int = Field(ge=1, le=4096)
    activation: Activation = "relu"


AnyStage = DenseStage | LMUStage | RecurrentLMUStage | KerasLMUStage
Stage = Annotated[AnyStage, Field(discriminator="kind")]


@dataclass(frozen=True)
class StageCost:
    """What one stage costs on a device, batch normalisation folded into its weights."""

    weights: int
    biases: int
    macs: float
    """Multiply-accumulates for each frame of the network's input (a strided stage works less often)."""
    state: int
    """Values carried from frame to frame."""
    constants: int
    """Fixed values beside the trained ones: A and B of a memory."""

    @property
    def parameters(self) -> int:
        """Values that were trained."""
        return self.weights + self.biases


@dataclass(frozen=True)
class NetworkCost:
    """What a network costs on a device, features excluded."""

    parameters: int
    macs_per_second: float
    state_bytes: int
    """Bytes of int8 state."""
    int8_bytes: int
    """Bytes of int8 weights and memory constants, with int32 biases counted as four."""


class NetworkSpec(BaseModel):
    """A network: its stages, and the defaults that go with it."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    title: str = "Custom"
    summary: str = ""
    stages: list[Stage] = Field(min_length=1, max_length=16)
    defaults: dict[str, Any] = Field(default_factory=dict, description="Run parameters that this network prefers.")
    notice: str = ""

    @model_validator(mode="after")
    def _ends_in_a_memory(self) -> NetworkSpec:
        last = self.stages[-1]
        if isinstance(last, DenseStage):
            raise ValueError("The last stage must be an LMU: it is what sums up the clip.")
        if isinstance(last, LMUStage) and (last.stride > 1 or last.residual):
            raise ValueError("The last stage is read once, at the end of the clip: it has no stride and no residual.")
        if isinstance(self.stages[0], LMUStage) and self.stages[0].residual:
            raise ValueError(
                "The first stage cannot be residual: it takes features, and their number is no part of a network."
            )
        if any(isinstance(stage, KerasLMUStage) for stage in self.stages[:-1]):
            raise ValueError("A keras-lmu stage can only be the last one.")
        for before, stage in pairwise(self.stages):
            taken, given = stage_width(before), stage_width(stage)
            if isinstance(stage, LMUStage) and stage.residual and taken != given:
                raise ValueError(f"A residual stage must give as many values as it takes: {taken}, not {given}.")
        return self

    def costs(self, num_features: int, num_labels: int) -> Iterator[StageCost]:
        """Cost of the input's normalisation, of each stage, and of the readout.

        Args:
            num_features: values of one input frame.
            num_labels: scores.
        """
        yield StageCost(weights=num_features, biases=num_features, macs=num_features, state=0, constants=0)
        channels, period = num_features, 1
        for stage in self.stages:
            yield _stage_cost(stage, channels, period)
            channels, period = stage_width(stage), period * getattr(stage, "stride", 1)
        readout = channels * num_labels
        yield StageCost(weights=readout, biases=num_labels, macs=readout / period, state=0, constants=0)

    def cost(self, num_features: int, num_labels: int, frames_per_second: float) -> NetworkCost:
        """Cost of the whole network."""
        costs = list(self.costs(num_features, num_labels))
        return NetworkCost(
            parameters=sum(cost.parameters for cost in costs),
            macs_per_second=frames_per_second * sum(cost.macs for cost in costs),
            state_bytes=sum(cost.state for cost in costs),
            int8_bytes=sum(cost.weights + 4 * cost.biases + cost.constants for cost in costs),
        )


def stage_width(stage: AnyStage) -> int:
    """Values that a stage gives for each frame."""
    return stage.projection or stage.units if isinstance(stage, LMUStage) else stage.units


def _stage_cost(stage: AnyStage, channels: int, period: int) -> StageCost:
    """Cost of a stage that gets `channels` values at every `period`-th frame of the network's input."""
    if isinstance(stage, DenseStage):
        weights = channels * stage.units
        return StageCost(weights, stage.units, weights / period, state=0, constants=0)
    memory = channels * stage.order
    transition = stage.order * stage.order + stage.order
    if isinstance(stage, RecurrentLMUStage):
        weights = (channels + memory + stage.units) * stage.units
        macs = (channels * transition + weights) / period
        return StageCost(weights, stage.units, macs, memory + stage.units, transition)
    projection = stage.projection if isinstance(stage, LMUStage) else 0
    weights = memory * stage.units + stage.units * projection
    # The memory takes every frame that arrives; only what reads it is computed less often.
    read = period * getattr(stage, "stride", 1)
    macs = channels * transition / period + weights / read
    return StageCost(weights, stage.units + projection, macs, memory, transition)


LOG_MEL = {"dct_num_features": 0}

NETWORKS: dict[str, NetworkSpec] = {
    "kws-small": NetworkSpec(
        title="kws-small",
        summary="Fits a Cortex-M4 microcontroller; a few words in quiet and noise.",
        stages=[
            DenseStage(units=28),
            LMUStage(order=6, theta=12, units=64, projection=28, residual=True, stride=2),
            LMUStage(order=8, theta=25, units=40),
        ],
        defaults=LOG_MEL,
    ),
    "kws-medium": NetworkSpec(
        title="kws-medium",
        summary="For larger microcontrollers: more words, closer to the large network's accuracy.",
        stages=[
            DenseStage(units=48),
            LMUStage(order=6, theta=12, units=96, projection=48, residual=True),
            LMUStage(order=6, theta=12, units=96, projection=48, residual=True, stride=2),
            LMUStage(order=8, theta=25, units=64),
        ],
        defaults=LOG_MEL,
    ),
    "kws-large": NetworkSpec(
        title="kws-large",
        summary="The most accurate; for phones, single-board computers, CPUs and GPUs.",
        stages=[
            DenseStage(units=96),
            LMUStage(order=6, theta=12, units=192, projection=96, residual=True),
            LMUStage(order=6, theta=12, units=192, projection=96, residual=True, stride=2),
            LMUStage(order=8, theta=25, units=192),
        ],
        defaults=LOG_MEL,
    ),
    "kws-reference": NetworkSpec(
        title="kws-reference",
        summary="Built from the layers of keras-lmu, to compare with; trains several times slower.",
        stages=[DenseStage(units=20), KerasLMUStage(order=10, theta=49, units=128)],
        notice="keras-lmu's licence allows non-commercial research, and any purpose below one million US dollars of "
        "annual income.",
    ),
}
