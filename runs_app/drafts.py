"""Runs that scripts put together in several requests, before they are made whole by `services.create_run`."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from itertools import count
from typing import Any

from django.db import transaction
from django.utils import timezone

from datasets_app.models import Dataset
from edgewise.accounts.models import User, Workspace
from edgewise.errors import Conflict, Invalid
from runs_app.models import Project, Run, RunDraft
from runs_app.services import DEFAULT_NETWORK, LONGEST_NAME, TOO_LONG, create_run

KEPT = datetime.timedelta(days=7)


def create_draft(*, workspace: Workspace, user: User, project: Project) -> RunDraft:
    """Begin a run in a project."""
    return RunDraft.objects.create(workspace=workspace, created_by=user, project=project)


def update_draft(
    draft: RunDraft, *, parameters: Mapping[str, Any], dataset: Dataset | None = None, name: str | None = None
) -> RunDraft:
    """Set parameters, dataset or name, and return the row; what is left out stays as it is.

    The values are judged at the start.

    Raises:
        Conflict: the run was started meanwhile.
        Invalid: the name is too long.
    """
    if name is not None and len(name) > LONGEST_NAME:
        raise Invalid({"name": TOO_LONG})
    with transaction.atomic():
        draft = _locked(draft)
        draft.parameters = {**draft.parameters, **parameters}
        draft.dataset = dataset or draft.dataset
        draft.name = draft.name if name is None else name
        draft.save(update_fields=["parameters", "dataset", "name"])
    return draft


def start(draft: RunDraft, user: User) -> Run:
    """Make the run of a draft and queue it. The run has the id of the draft, and a name of its own where it got none.

    Raises:
        Conflict: the run was started already.
        Invalid: it has no dataset, or what it has is wrong.
        QueueFull: too many runs wait already.
    """
    with transaction.atomic():
        draft = _locked(draft)
        if draft.dataset is None:
            raise Invalid({"dataset": "The run has no dataset: choose one that was made of your data."})
        run = create_run(
            workspace=draft.workspace, user=user, project=draft.project, name=draft.name or _free_name(draft),
            dataset=draft.dataset, parameters=draft.parameters, run_id=draft.pk,
        )  # fmt: skip
        draft.delete()
    return run


def delete_old() -> None:
    """Delete drafts that nobody has started within a week."""
    RunDraft.objects.filter(created_at__lt=timezone.now() - KEPT).delete()


def already_started(name: str) -> Conflict:
    """Say that a run is no draft any more."""
    return Conflict(f"The run “{name}” was started already.", "Make another run for other parameters.")


def _locked(draft: RunDraft) -> RunDraft:
    related = ("workspace", "project", "dataset__raw_data__import_job")
    found = RunDraft.objects.select_for_update(of=("self",)).select_related(*related).filter(pk=draft.pk).first()
    if found is None:
        raise already_started(draft.name)
    return found


def _free_name(draft: RunDraft) -> str:
    """Name a run by its network and a number."""
    # Locked: scripts start many runs of a project at once.
    Project.objects.select_for_update().get(pk=draft.project_id)
    network = draft.parameters.get("network", DEFAULT_NETWORK)
    taken = set(Run.objects.filter(project=draft.project, name__startswith=network).values_list("name", flat=True))
    return next(name for number in count(1) if (name := f"{network} {number}") not in taken)
