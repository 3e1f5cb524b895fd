"""What users do with artifacts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.files.storage import default_storage
from django.db import transaction
from pydantic import ValidationError

from deploy_app.formats import FORMATS, Format
from deploy_app.models import Artifact
from edgewise.accounts.models import User
from edgewise.errors import Conflict, Invalid
from edgewise.jobs import services as jobs
from edgewise.jobs.models import State
from edgewise.spec.fields import explain
from runs_app.models import Run


def formats() -> tuple[Format, ...]:
    """List the formats, the usual one first."""
    return tuple(FORMATS.values())


def why_not_deployable(run: Run) -> str | None:
    """Say why there is nothing to deploy yet; None where there is."""
    if run.active:
        return f"“{run.name}” has not ended yet. Wait, or cancel it: its best weights so far are kept."
    if run.weights_sha256:
        return None
    return f"“{run.name}” ended before it had any weights. Resume it, or start another run."


def request_artifact(*, run: Run, user: User, format: str, options: Mapping[str, Any] | None = None) -> Artifact:
    """Return the artifact of a run's present weights and operating point in a format, built where it was not before.

    Raises:
        Conflict: the run has no weights yet, or something that the format needs is not installed.
        Invalid: the format or an option is wrong.
        QueueFull: too many jobs wait already.
    """
    if reason := why_not_deployable(run):
        raise Conflict(reason)
    wanted = _input(run, format, options or {})
    if need := FORMATS[format].unmet():
        raise Conflict(f"{FORMATS[format].title} needs {need.title}, which is not installed here.", need.remedy)
    with transaction.atomic():
        artifact, is_new = Artifact.objects.get_or_create(
            **wanted, defaults={"workspace": run.workspace, "created_by": user, "progress_unit": "stages"}
        )
        if is_new:
            jobs.enqueue(artifact)
        elif artifact.state in (State.FAILED, State.CANCELLED):
            jobs.requeue(artifact)
    return artifact


def find_artifact(run: Run, format: str, options: Mapping[str, Any]) -> Artifact | None:
    """Return what `request_artifact` was asked for already, None where it was not."""
    return Artifact.objects.filter(**_input(run, format, options)).first()


def delete_artifact(artifact: Artifact) -> None:
    """Delete an artifact; it can be built again.

    Raises:
        Conflict: it is being built.
    """
    if artifact.active:
        raise Conflict("This artifact is being built.", "Cancel it first.")
    artifact.delete()


def delete_file(artifact: Artifact) -> None:
    """Delete the file of an artifact whose row is gone, by itself or with its run."""
    name = artifact.file_name  # read now: a deleted row loses its key
    transaction.on_commit(lambda: default_storage.delete(name))


def _input(run: Run, format: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what tells the artifact of a run's present weights and operating point from all others."""
    return {
        "run": run, "format": format, "options": _validated(format, options), "weights_sha256": run.weights_sha256,
        **run.operating_point.model_dump(),
    }  # fmt: skip


def _validated(format_name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    if format_name not in FORMATS:
        raise Invalid({"format": f"There is no format “{format_name}”; choose one of {', '.join(FORMATS)}."})
    model = FORMATS[format_name].options
    try:
        return model.model_validate(dict(options)).model_dump()
    except ValidationError as error:
        raise Invalid({f"options.{name}": text for name, text in explain(error, model).items()}) from error
