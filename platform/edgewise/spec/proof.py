"""What was proved of an artifact: `report.json` in its archive, `report` by REST, and the tables of page and README."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from edgewise.spec.estimates import Estimate

REPORT = "report.json"


class Resources(BaseModel):
    """What the library takes on an emulated processor, all that runs it included."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    target: str = Field(description="What it was compiled for.")
    processor: str
    flash_bytes: int = Field(description="Code and tables.")
    ram_bytes: int = Field(description="State of a stream, a block of samples, and the deepest stack.")
    stack_bytes: int = Field(description="The deepest stack alone.")
    instructions_per_second: int = Field(description="Instructions for each second of audio.")


class Stage(BaseModel):
    """One link of the chain from the trained network to a device: exported files that were run themselves."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str
    status: Literal["holds", "differs", "skipped"]
    reason: str = Field("", description="Why it differs or was skipped.")
    demanded: str = Field("", description="The bound that it must keep.")
    clips: int = Field(0, description="Test clips that it was run on.")
    accuracy: float | None = Field(None, description="Share of these clips that are heard right.")
    accuracy_low: float | None = Field(None, description="Lower end of the 95% interval (Wilson).")
    accuracy_high: float | None = Field(None, description="Upper end of the 95% interval (Wilson).")
    accuracy_change: float | None = Field(None, description="Accuracy less the trained network's on the same clips.")
    agreement: float | None = Field(None, description="Share of clips that get the trained network's label.")
    score_difference: float | None = Field(None, description="Largest difference of a score to the trained network's.")
    feature_difference: float | None = Field(
        None, description="Largest difference of a feature to the definition in float64, on white noise."
    )
    file_bytes: int | None = Field(None, description="Size of the files that it consists of.")
    resources: Resources | None = None

    @property
    def columns(self) -> tuple[tuple[str, str], ...]:
        """Headings and texts of a table's row, after the title."""
        size = "–" if self.file_bytes is None else f"{self.file_bytes / 1000:,.0f} kB"
        accuracy, low, high = (100 * (share or 0) for share in (self.accuracy, self.accuracy_low, self.accuracy_high))
        return (
            ("Clips", f"{self.clips:,}"),
            ("Accuracy (95% interval)", f"{accuracy:.2f}% ({low:.0f} – {high:.0f})"),
            ("Change", f"{100 * self.accuracy_change:+.2f}%" if self.accuracy_change else "0"),
            ("Same label", percentage(self.agreement or 0)),
            ("Scores", difference(self.score_difference)),
            ("Features", difference(self.feature_difference)),
            ("Files", size),
        )


class ProofReport(BaseModel):
    """All stages of an artifact, in their order, and estimates for devices."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = 1
    edgewise: str = Field(description="Version of Edgewise that built it.")
    run: str
    weights_sha256: str
    network: str
    labels: tuple[str, ...]
    test_clips: int = Field(description="Clips that judged the stages.")
    available_clips: int = Field(description="Clips of the whole test split.")
    noise: str = Field(description="What the differences of features were measured on.")
    stages: tuple[Stage, ...]
    estimates: tuple[Estimate, ...] = Field(description="Estimates, never measured on these boards: docs/estimates.md.")

    @property
    def exported(self) -> tuple[Stage, ...]:
        """The stages that were exported and run: all but the trained network itself and what was skipped."""
        return tuple(stage for stage in self.stages[1:] if stage.status != "skipped")

    @property
    def holds(self) -> bool:
        """Whether no stage breaks its bound."""
        return all(stage.status != "differs" for stage in self.stages)

    @property
    def verdict(self) -> str:
        """Say in a sentence whether this computes what was trained."""
        if broken := next((stage for stage in self.stages if stage.status == "differs"), None):
            return f"{broken.title} does not compute what was trained."
        agreement = min(stage.agreement or 0 for stage in self.exported)
        largest = max(stage.score_difference or 0 for stage in self.exported)
        return (
            f"Computes what was trained: {percentage(agreement)} of {self.test_clips:,} test clips get the same label, "
            f"largest score difference {difference(largest)}."
        )


def percentage(share: float) -> str:
    """Write a share as people read it; only what is all is called 100%."""
    return "100%" if share == 1 else f"{100 * min(share, 0.9999):.2f}%"


def difference(value: float | None) -> str:
    """Write a difference by its order of magnitude: 2e-5."""
    if value is None:
        return "–"
    return f"{value:.2g}" if value >= 0.01 or not value else f"{value:.0e}".replace("e-0", "e-")
