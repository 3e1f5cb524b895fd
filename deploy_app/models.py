"""Artifacts: what a run becomes on a device."""

from __future__ import annotations

from django.db import models

from edgewise.jobs.models import Job, Queue
from edgewise.spec.detection import OperatingPoint
from edgewise.spec.proof import ProofReport
from runs_app.models import Run


class Artifact(Job):
    """`artifact.zip` of a run in one format. The same input gives the same bytes."""

    KIND = "build_artifact"
    QUEUE = Queue.LIGHT

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="artifacts")
    format = models.CharField(max_length=30)
    options = models.JSONField(default=dict)
    weights_sha256 = models.CharField(max_length=64)
    threshold = models.FloatField(help_text="Of the operating point that it carries.")
    smoothing_ms = models.PositiveIntegerField(help_text="Of the operating point that it carries.")
    size = models.PositiveBigIntegerField(null=True, blank=True)
    sha256 = models.CharField(max_length=64, blank=True)
    accuracy = models.FloatField(null=True, blank=True, help_text="Of the exported network itself, on the test split.")

    report = models.JSONField(
        null=True, blank=True, help_text="What was proved of it, as report.json in its archive (edgewise.spec.proof)."
    )

    class Meta(Job.Meta):
        constraints = [
            *Job.Meta.constraints,
            models.UniqueConstraint(
                fields=["run", "format", "options", "weights_sha256", "threshold", "smoothing_ms"],
                name="one_artifact_for_each_input",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.run} as {self.format}"

    @property
    def operating_point(self) -> OperatingPoint:
        """The operating point that it carries."""
        return OperatingPoint.model_validate({"threshold": self.threshold, "smoothing_ms": self.smoothing_ms})

    @property
    def proof(self) -> ProofReport | None:
        """What was proved of it; None until it was checked."""
        return None if self.report is None else ProofReport.model_validate(self.report)

    @property
    def file_name(self) -> str:
        """Name in the store."""
        return f"artifacts/{self.pk}.zip"
