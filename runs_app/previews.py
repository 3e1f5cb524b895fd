"""Previews: training examples to be heard and seen before anything is trained."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.core.files.storage import default_storage
from django.db import transaction
from django.utils import timezone

from datasets_app.models import Dataset
from edgewise.accounts.models import User
from edgewise.errors import Invalid, NotFound
from edgewise.jobs import services as jobs
from edgewise.jobs.models import ENDED, State
from edgewise.spec.run import DECIDE_BATCHES
from edgewise.storage import delete_folder
from runs_app.models import Preview, Run
from runs_app.services import revisions_for, validated, why_untrainable

KEPT = datetime.timedelta(days=7)
LAST_STEP = 1_000_000


def request_preview(
    *, dataset: Dataset, user: User, parameters: Mapping[str, Any] | None = None, step: int = 0,
    same_data_as: Run | None = None,
) -> Preview:  # fmt: skip
    """Return the first examples of a step of a run with these parameters, made where they were not before.

    Args:
        dataset: what the run is trained on.
        user: who asks.
        parameters: of the run; what is left out follows from dataset and network.
        step: counted from 0. Another step has other examples.
        same_data_as: a run on the dataset, whose revision of the data is used; without it the newest is.

    Raises:
        Invalid: a parameter is wrong, or the dataset has nothing to learn from.
        QueueFull: too many jobs wait already.
    """
    at = revisions_for(dataset, same_data_as)
    if problems := why_untrainable(dataset, at["revision"]):
        raise Invalid(problems)
    settings = validated(dataset, parameters or {})
    if not 0 <= step < LAST_STEP:
        raise Invalid({"step": f"The step must be a whole number from 0 to {LAST_STEP - 1:,}."})
    with transaction.atomic():
        preview, is_new = Preview.objects.get_or_create(
            dataset=dataset,
            parameters=settings.model_dump(mode="json", include=DECIDE_BATCHES),
            step=step,
            **at,
            defaults={"workspace": dataset.workspace, "created_by": user, "progress_unit": "examples"},
        )
        if is_new:
            jobs.enqueue(preview)
        elif preview.state in (State.FAILED, State.CANCELLED):
            jobs.requeue(preview)
    return preview


@dataclass(frozen=True)
class Example:
    """A training example, and where to hear and see it."""

    label: str
    clip: str | None
    """Id of the recording; None where the noise was generated."""
    name: str
    audio: str
    picture: str


def examples(preview: Preview) -> list[Example]:
    """List the examples of a preview; none until they are made."""
    address = f"/api/v1/datasets/{preview.dataset_id}/preview/{preview.pk}/examples"
    return [
        Example(row["label"], row["clip"], row["name"], f"{address}/{number}/audio", f"{address}/{number}/picture")
        for number, row in enumerate(preview.examples)
    ]


def audio(preview: Preview, number: int) -> bytes:
    """Read the sound of an example, counted from 0: 16-bit wav.

    Raises:
        NotFound: there is no such example yet.
    """
    return _read(preview, number, preview.audio_name(number))


def picture(preview: Preview, number: int) -> bytes:
    """Read the picture of an example's features, counted from 0: PNG.

    Raises:
        NotFound: there is no such example yet.
    """
    return _read(preview, number, preview.picture_name(number))


def _read(preview: Preview, number: int, name: str) -> bytes:
    if number >= len(preview.examples):
        raise NotFound("example")
    with default_storage.open(name) as file:
        content: bytes = file.read()
    return content


def delete_old() -> None:
    """Delete previews that were made more than a week ago; they can be made again."""
    Preview.objects.filter(state__in=ENDED, queued_at__lt=timezone.now() - KEPT).delete()


def delete_files(preview: Preview) -> None:
    """Delete the files of a preview whose row is gone, by itself or with its dataset."""
    transaction.on_commit(partial(delete_folder, preview.folder))
