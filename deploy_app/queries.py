"""What the Deploy page reads, through the workspace."""

from __future__ import annotations

import uuid

from deploy_app.models import Artifact
from edgewise.accounts.models import Workspace
from edgewise.jobs.models import LogLine
from edgewise.lookup import one
from runs_app.models import Run


def artifacts(run: Run) -> list[Artifact]:
    """Artifacts of a run, the newest first."""
    return list(run.artifacts.select_related("created_by").order_by("-queued_at"))


def artifact(workspace: Workspace, artifact_id: uuid.UUID) -> Artifact:
    """One of the workspace's artifacts, with its run."""
    rows = Artifact.objects.filter(workspace=workspace, pk=artifact_id)
    return one(rows.select_related("run__dataset"), "artifact")


def log(artifact: Artifact) -> list[LogLine]:
    """What its building said."""
    return list(LogLine.objects.filter(job_id=artifact.pk))
