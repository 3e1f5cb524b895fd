"""Networks as data: stages, their cost, and the networks that the form offers.

A network reads frames of features and ends in one score for each label. Each stage is causal and has constant state,
so the same weights serve whole clips (training) and one frame at a time (devices). `workers/engine/networks.py` builds
both forms.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from operator import mul
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from edgewise.spec.fields import parameter, wrong

Activation = Literal["linear", "relu", "sigmoid", "softmax", "swish"]

# Fields that several kinds of stages share. Their defaults are where a stage begins that somebody adds to a network.
Units = Annotated[
    int, parameter(title="Units", ge=1, le=4096, help="Values that the dense layer computes for each frame.")
]
Nonlinearity = Annotated[
    Activation,
    parameter(
        title="Activation",
        choices={name: name for name in get_args(Activation)},
        help="Function that is applied to each value of the dense layer.",
    ),
]
Order = Annotated[
    int,
    parameter(
        title="Order",
        ge=1,
        le=64,
        help="Legendre coefficients that the memory keeps of each channel. More of them follow faster changes and cost "
        "as much more weights.",
    ),
]
Theta = Annotated[
    float,
    parameter(title="Theta", unit="frames", ge=1, le=4096, help="Length of the memory, in frames of its input."),
]


class DenseStage(BaseModel):
    """A dense layer applied to each frame, batch-normalised before its activation."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    kind: Literal["dense"] = parameter(
        "dense",
        title="Kind",
        choices={"dense": "Dense"},
        help="A dense layer that looks at one frame at a time, batch-normalised before its activation.",
    )
    units: Units = 32
    activation: Nonlinearity = "relu"


class LMUStage(BaseModel):
    """A Legendre memory of each input channel, read by a dense layer.

    memory: `order` coefficients of the last `theta` frames of each channel → [`filters` weighted sums of them for each
    channel] → dense `units`, batch-normalised, `activation` → [dense `projection`]. With `residual` the stage's input
    is added to its output. The stage is evaluated at frames 0, `stride`, 2 `stride`, …; the last LMU stage of a network
    is read at its last frame alone.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    kind: Literal["lmu"] = parameter(
        "lmu",
        title="Kind",
        choices={"lmu": "LMU"},
        help="A Legendre memory of each channel, read by a dense layer that is batch-normalised before its activation.",
    )
    order: Order = 6
    theta: Theta = 12
    units: Units = 64
    activation: Nonlinearity = "relu"
    filters: int = parameter(
        0,
        title="Filters",
        ge=0,
        le=64,
        help="Filters of its own with which each channel's memory is read before the dense layer, like a depthwise "
        "convolution: far fewer weights. 0: the dense layer reads all coefficients of all channels.",
    )
    projection: int = parameter(
        0,
        title="Projection",
        ge=0,
        le=4096,
        help="Values that a second dense layer, without activation, makes of the units for the next stage; 0 leaves it "
        "out.",
    )
    stride: int = parameter(
        1,
        title="Stride",
        ge=1,
        le=16,
        help="The stage gives a value at every so many of its input's frames; what follows works less often.",
    )
    residual: bool = parameter(
        False,
        title="Residual",
        help="Add the stage's input to its output. Both must have as many values.",
    )


class RecurrentLMUStage(BaseModel):
    """A Legendre memory of each input channel, and a hidden state that reads it, the input and itself.

    h[t] = activation(W_x x[t] + W_m m[t] + W_h h[t-1]) with `units` values, as in the LMU of Voelker, Kajić & Eliasmith
    2019, but the memory m takes the input as it is, so that it can be computed for a whole clip at once. W_x x + W_m m
    is batch-normalised. It trains more slowly than an `LMUStage`, whose frames do not wait for each other; the last one
    of a network is read at its last frame alone.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    kind: Literal["lmu-recurrent"] = parameter(
        "lmu-recurrent",
        title="Kind",
        choices={"lmu-recurrent": "Recurrent LMU"},
        help="A Legendre memory of each channel, and a hidden state that reads it, the input and itself. It trains "
        "more slowly than an LMU, whose frames do not wait for each other.",
    )
    order: Order = 6
    theta: Theta = 12
    units: Units = 64
    activation: Nonlinearity = "relu"


class KerasLMUStage(BaseModel):
    """`keras_lmu.LMU` with a dense hidden cell and no recurrent connections, as its authors publish it."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    kind: Literal["keras-lmu"] = parameter(
        "keras-lmu",
        title="Kind",
        choices={"keras-lmu": "keras-lmu"},
        help="The LMU layer of keras-lmu, to compare with. It trains several times slower, and its licence is not free "
        "for every purpose.",
    )
    order: Order = 6
    theta: Theta = 12
    units: Units = 64
    activation: Nonlinearity = "relu"


AnyStage = DenseStage | LMUStage | RecurrentLMUStage | KerasLMUStage
STAGE_KINDS: dict[str, type[AnyStage]] = {model.model_fields["kind"].default: model for model in get_args(AnyStage)}


def _form_a_network(stages: list[AnyStage]) -> list[AnyStage]:
    """Check what stages ask of each other; an error names the field to change, such as `2.residual`."""
    end = len(stages) - 1
    last = stages[end]
    if isinstance(last, DenseStage):
        raise wrong(f"{end}.kind", "The last stage must be an LMU: it is what sums up the clip.")
    if isinstance(last, LMUStage) and (last.stride > 1 or last.residual):
        raise wrong(
            f"{end}.{'stride' if last.stride > 1 else 'residual'}",
            "The last stage is read once, at the end of the clip: it has no stride and no residual.",
        )
    if isinstance(stages[0], LMUStage) and stages[0].residual:
        raise wrong(
            "0.residual",
            "The first stage cannot be residual: it takes features, and their number is no part of a network.",
        )
    for index, (before, stage) in enumerate(pairwise(stages), start=1):
        if isinstance(before, KerasLMUStage):
            raise wrong(f"{index - 1}.kind", "A keras-lmu stage can only be the last one.")
        taken, given = stage_width(before), stage_width(stage)
        if isinstance(stage, LMUStage) and stage.residual and taken != given:
            raise wrong(
                f"{index}.residual",
                f"A residual stage must give as many values as it takes: {taken}, not {given}. Set its "
                f"{'projection' if stage.projection else 'units'} to {taken}, or switch residual off.",
            )
    return stages


Stages = Annotated[
    list[Annotated[AnyStage, Field(discriminator="kind")]],
    parameter(title="Stages", min_length=1, max_length=16, help="What the network computes, one after the other."),
    AfterValidator(_form_a_network),
]


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
    """What a network, or a part of one, costs on a device, features excluded."""

    parameters: int
    macs_per_second: float
    state_bytes: int
    """Bytes of int8 state."""
    int8_bytes: int
    """Bytes of int8 weights and memory constants, with int32 biases counted as four."""

    @classmethod
    def of(cls, stages: Iterable[StageCost], frames_per_second: float) -> NetworkCost:
        """Add up what stages cost at this many frames of the network's input per second."""
        costs = list(stages)
        return cls(
            parameters=sum(cost.parameters for cost in costs),
            macs_per_second=frames_per_second * sum(cost.macs for cost in costs),
            state_bytes=sum(cost.state for cost in costs),
            int8_bytes=sum(cost.weights + 4 * cost.biases + cost.constants for cost in costs),
        )


class NetworkSpec(BaseModel):
    """A network: its stages, and the defaults that go with it."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    title: str = "Custom"
    summary: str = ""
    stages: Stages
    defaults: dict[str, Any] = Field(default_factory=dict, description="Run parameters that this network prefers.")
    notice: str = ""

    def periods(self) -> list[int]:
        """Frames of the network's input for each frame that a stage takes; the last item is the readout's."""
        return list(accumulate((getattr(stage, "stride", 1) for stage in self.stages), mul, initial=1))

    def costs(self, num_features: int, num_labels: int) -> Iterator[StageCost]:
        """Cost of the input's normalisation, of each stage, and of the readout.

        Args:
            num_features: values of one input frame.
            num_labels: scores.
        """
        yield StageCost(weights=num_features, biases=num_features, macs=num_features, state=0, constants=0)
        channels, periods = num_features, self.periods()
        for stage, period in zip(self.stages, periods, strict=False):
            yield _stage_cost(stage, channels, period)
            channels = stage_width(stage)
        readout = channels * num_labels
        yield StageCost(weights=readout, biases=num_labels, macs=readout / periods[-1], state=0, constants=0)

    def cost(self, num_features: int, num_labels: int, frames_per_second: float) -> NetworkCost:
        """Cost of the whole network."""
        return NetworkCost.of(self.costs(num_features, num_labels), frames_per_second)


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
    projection, filters = (stage.projection, stage.filters) if isinstance(stage, LMUStage) else (0, 0)
    read = memory * stage.units if not filters else memory * filters + channels * filters * stage.units
    weights = read + stage.units * projection
    # The memory takes every frame that arrives; only what reads it is computed less often.
    macs = channels * transition / period + weights / (period * getattr(stage, "stride", 1))
    return StageCost(weights, stage.units + projection, macs, memory, transition)


# Thirteen cepstral coefficients smooth a voice's pitch away, and the floor hides what microphones and codecs leave
# where nobody speaks: both matter more for people who were not heard than the size of a network (docs/networks.md).
FEATURES = {"dct_num_features": 13, "log_epsilon": 0.01}


def _filter_bank(units: int, thetas: Sequence[float], *, strided: int, filters: int, last: int) -> list[AnyStage]:
    """Stages of one width: a dense one, residual LMUs with one filter a channel, and the memory that sums up the clip.

    Args:
        units: values that each stage but the last gives.
        thetas: memories of the residual stages, in frames of their input.
        strided: which of these gives every second frame alone.
        filters: of each channel in the last stage.
        last: values that the last stage gives.
    """
    strides = [2 if index == strided else 1 for index in range(len(thetas))]
    return [
        DenseStage(units=units),
        *(
            LMUStage(order=8, theta=theta, filters=1, units=units, residual=True, stride=stride)
            for theta, stride in zip(thetas, strides, strict=True)
        ),
        LMUStage(order=8, theta=25, filters=filters, units=last),
    ]


NETWORKS: dict[str, NetworkSpec] = {
    "kws-small": NetworkSpec(
        title="kws-small",
        summary="Fits a Cortex-M4 microcontroller; a few words in quiet and noise.",
        stages=_filter_bank(64, [12, 16, 12, 12], strided=1, filters=1, last=32),
        defaults=FEATURES,
    ),
    "kws-medium": NetworkSpec(
        title="kws-medium",
        summary="For larger microcontrollers: more words, closer to the large network's accuracy.",
        stages=_filter_bank(112, [12, 16, 12, 12, 12], strided=1, filters=2, last=64),
        defaults=FEATURES,
    ),
    "kws-large": NetworkSpec(
        title="kws-large",
        summary="The most accurate; for phones, single-board computers, CPUs and GPUs.",
        stages=_filter_bank(160, [12, 16, 12, 12, 12], strided=1, filters=2, last=96),
        defaults=FEATURES,
    ),
    "kws-reference": NetworkSpec(
        title="kws-reference",
        summary="Built from the layers of keras-lmu, to compare with; trains several times slower.",
        stages=[DenseStage(units=20), KerasLMUStage(order=10, theta=49, units=128)],
        notice="keras-lmu's licence allows non-commercial research, and any purpose below one million US dollars of "
        "annual income.",
    ),
}
