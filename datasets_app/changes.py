"""What edits of clips have changed for a dataset since something was made of it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db.models import Q, QuerySet

from datasets_app.models import AtRevision, ClipKind, ClipOverride, Dataset
from datasets_app.revisions import DataRevision
from edgewise.spec.dataset import NO_NOISE, DatasetParameters


@dataclass(frozen=True)
class ClipChange:
    """A clip that is not what it was."""

    clip: uuid.UUID
    name: str
    raw_data: uuid.UUID
    before: str | None
    """Its label; None where it was excluded."""
    after: str | None
    """Its label; None where it is excluded."""

    @property
    def sentence(self) -> str:
        """What happened to it."""
        if self.after is None:
            return f"{self.before}, now excluded"
        return f"excluded, now {self.after}" if self.before is None else f"{self.before}, now {self.after}"


@dataclass(frozen=True)
class Changes:
    """Clips that are not what they were, by name."""

    clips: list[ClipChange]

    @property
    def excluded(self) -> int:
        """How many were taken out."""
        return sum(change.after is None for change in self.clips)

    @property
    def included(self) -> int:
        """How many were taken in again."""
        return sum(change.before is None for change in self.clips)

    @property
    def relabelled(self) -> int:
        """How many have another label."""
        return len(self.clips) - self.excluded - self.included

    @property
    def sentence(self) -> str:
        """Say it in words; nothing where nothing has changed."""
        counts = ((self.excluded, "excluded"), (self.relabelled, "relabelled"), (self.included, "included again"))
        parts = [f"{count:,} {what}" for count, what in counts if count]
        if not parts:
            return ""
        only_one = len(self.clips) == 1
        number, _, rest = ", ".join(parts).partition(" ")
        return f"{number} clip{' was' if only_one else 's were'} {rest}"


def changes_since(dataset: Dataset, at: AtRevision) -> Changes:
    """List the clips of a dataset that edits have changed since a run, or the dataset itself, was made.

    Words that are no keywords count where the dataset may draw them as `<unknown>`.
    """
    found = list(_changed(DataRevision.of(dataset, at.revision), ClipKind.WORD))
    found = [change for change in found if _is_used(change, dataset.recipe)]
    if dataset.recipe.noise != NO_NOISE:
        found += _changed(DataRevision.of_noise(dataset, at.noise_revision), ClipKind.NOISE)
    return Changes(sorted(found, key=lambda change: change.name))


def _is_used(change: ClipChange, recipe: DatasetParameters) -> bool:
    return bool(recipe.unknown_percentage) or not {change.before, change.after}.isdisjoint(recipe.keywords)


def _changed(then: DataRevision, kind: ClipKind) -> Iterator[ClipChange]:
    now = DataRevision(then.raw_data, then.workspace)
    touched = ClipOverride.objects.filter(
        Q(since__gt=then.number) | Q(until__gt=then.number), workspace=then.workspace, clip__raw_data=then.raw_data
    ).values("clip")
    before = {clip: label for clip, _, label in _labels(then, kind, touched)}
    for clip, name, label in _labels(now, kind, touched):
        if before[clip] != label:
            yield ClipChange(clip, name, then.raw_data.pk, before[clip], label)


def _labels(
    data: DataRevision, kind: ClipKind, touched: QuerySet[Any, Any]
) -> Iterator[tuple[uuid.UUID, str, str | None]]:
    """Yield id, name and label of clips; the label of one that is excluded is None."""
    rows = data.clips().filter(kind=kind, pk__in=touched).values_list("pk", "name", "effective_label", "excluded")
    for clip, name, label, excluded in rows:
        yield clip, name, None if excluded else label
