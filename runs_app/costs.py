"""What networks cost on a device, in total and part by part."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, ValidationError

from edgewise.errors import Invalid
from edgewise.spec.fields import explain, parameter
from edgewise.spec.network import NetworkCost, NetworkSpec, Stages
from edgewise.spec.run import RunParameters


class CostQuery(BaseModel):
    """What the cost of a network depends on beside its stages."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    dataset: UUID | None = parameter(
        None, title="Dataset", help="Id of the dataset whose labels are counted, instead of `labels`."
    )
    labels: int = parameter(
        12, title="Labels", ge=1, le=102, help="Scores that the network gives: <silence>, <unknown> and the keywords."
    )
    features: int | None = parameter(
        None,
        title="Features",
        ge=1,
        le=128,
        help="Values of one frame: DCT features, or mel bands where there is no DCT. Left out, those that the network "
        "prefers.",
    )
    window_stride_ms: float | None = parameter(
        None,
        title="Stride",
        unit="ms",
        ge=5,
        le=500,
        help="Time from one frame of features to the next. Left out, the one that the network prefers.",
    )

    @classmethod
    def read(cls, values: object) -> Self:
        """Check what was asked.

        Raises:
            Invalid: says which values are wrong, and why.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise Invalid(explain(error, cls)) from error

    def answer(self, network: NetworkSpec, labels: int, preferred: Mapping[str, Any]) -> CostBreakdown:
        """What `network` costs with this many labels; the `preferred` parameters of a run fill in what was left out."""
        preprocessing = RunParameters.model_validate(preferred).preprocessing
        return CostBreakdown.of(
            network,
            features=self.features or preprocessing.num_features,
            labels=labels,
            window_stride_ms=self.window_stride_ms or preprocessing.window_stride_ms,
        )


class StagesQuery(CostQuery):
    """A custom network whose cost is asked."""

    stages: Stages


class StageCosts(BaseModel):
    """What one stage costs, and how much audio its memory spans; 0 where it has none."""

    cost: NetworkCost
    memory_ms: float


class CostBreakdown(BaseModel):
    """What a network costs, and what its parts have in it."""

    model_config = ConfigDict(frozen=True)

    labels: int
    features: int
    frames_per_second: float
    total: NetworkCost
    input: NetworkCost
    stages: list[StageCosts]
    readout: NetworkCost

    @classmethod
    def of(cls, network: NetworkSpec, *, features: int, labels: int, window_stride_ms: float) -> CostBreakdown:
        """Break the cost of a network down.

        Args:
            network: the stages.
            features: values of one frame.
            labels: scores that the network gives.
            window_stride_ms: time from one frame of features to the next.
        """
        rate = 1000 / window_stride_ms
        before, *stages, after = (NetworkCost.of([cost], rate) for cost in network.costs(features, labels))
        spans = [
            getattr(stage, "theta", 0) * period
            for stage, period in zip(network.stages, network.periods(), strict=False)
        ]
        return cls(
            labels=labels,
            features=features,
            frames_per_second=rate,
            total=network.cost(features, labels, rate),
            input=before,
            stages=[
                StageCosts(cost=cost, memory_ms=span * window_stride_ms)
                for cost, span in zip(stages, spans, strict=True)
            ],
            readout=after,
        )
