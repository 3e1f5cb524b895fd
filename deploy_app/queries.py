"""What the Deploy page reads, through the workspace."""

from __future__ import annotations

import uuid
import zipfile
from dataclasses import dataclass
from pathlib import PurePosixPath

from deploy_app.models import Artifact
from edgewise import storage
from edgewise.accounts.models import Workspace
from edgewise.errors import Absent, Conflict
from edgewise.jobs.models import ACTIVE, LogLine, State
from edgewise.lookup import one
from runs_app.models import Run

CONTENT_TYPES = {
    ".wasm": "application/wasm", ".js": "text/javascript", ".json": "application/json",
    ".txt": "text/plain; charset=utf-8", ".md": "text/markdown; charset=utf-8",
}  # fmt: skip
"""Of the files that browsers read one by one; all others are bytes to them."""


@dataclass(frozen=True)
class ArchivedFile:
    """A file in an artifact."""

    content: bytes
    content_type: str
    etag: str
    """In quotes."""


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


def require_built(artifact: Artifact) -> None:
    """Refuse to read an artifact that has no file.

    Raises:
        Conflict: it is not built yet, or will not be.
    """
    if artifact.state in ACTIVE:
        raise Conflict("This artifact is not built yet.", "Wait until its job has succeeded.")
    if artifact.state != State.SUCCEEDED:
        state = artifact.get_state_display().lower()
        raise Conflict(f"There is no file of this artifact: its job is {state}.", "Ask for the artifact again.")


def archived_file(artifact: Artifact, name: str) -> ArchivedFile:
    """Read one file of a built artifact out of the stored archive.

    Raises:
        Conflict: it is not built yet.
        Absent: the archive has no file of this name.
    """
    require_built(artifact)
    with zipfile.ZipFile(storage.local_path(artifact.file_name, artifact.sha256)) as archive:
        try:
            entry = archive.getinfo(name)
        except KeyError as error:
            raise Absent(
                f"This artifact has no file “{name}”.", "Download the whole archive to see what it holds."
            ) from error
        content = archive.read(entry)
    content_type = CONTENT_TYPES.get(PurePosixPath(name).suffix, "application/octet-stream")
    return ArchivedFile(content, content_type, f'"{artifact.sha256}-{entry.CRC:08x}"')
