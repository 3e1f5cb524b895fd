"""How a detector decides in a stream: its operating point, declared once.

`workers/engine/detection.py` states the rule; `artifact.zip` carries the point to the device.
"""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, field_validator

from edgewise.spec.fields import parameter

DETECTION = "Detection"

Smoothing = Literal[0, 100, 200, 300, 500]
SMOOTHING_MS: tuple[int, ...] = get_args(Smoothing)
"""Smoothing windows that are measured."""

THRESHOLDS = tuple(percent / 100 for percent in range(5, 100))
"""Thresholds that are measured; each may be chosen."""


class OperatingPoint(BaseModel):
    """When a keyword counts as detected. The defaults stand where nothing was measured."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    threshold: float = parameter(
        0.5,
        title="Threshold",
        group=DETECTION,
        ge=THRESHOLDS[0],
        le=THRESHOLDS[-1],
        help="Probability that a keyword must reach to be detected, in steps of 0.01. Higher: fewer false accepts, "
        "more missed keywords.",
    )
    smoothing_ms: Smoothing = parameter(
        0,
        title="Smoothing",
        group=DETECTION,
        unit="ms",
        choices={str(window): f"over {window} ms" if window else "none" for window in SMOOTHING_MS},
        help="Time over which the probabilities are averaged. Longer: fewer false accepts from short sounds, and a "
        "later detection.",
    )

    @field_validator("threshold")
    @classmethod
    def _is_measured(cls, threshold: float) -> float:
        nearest = round(threshold, 2)
        if abs(nearest - threshold) > 1e-9:
            raise ValueError(f"Threshold can have two decimals; the nearest to {threshold:g} is {nearest:g}.")
        return nearest

    @field_validator("smoothing_ms", mode="before")
    @classmethod
    def _from_text(cls, window: object) -> object:
        """Take what a form holds, too."""
        return int(window) if isinstance(window, str) and window.isdecimal() else window
