"""What edits of clips have changed for a dataset since something was made of it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace

from django.db.models import Q

from datasets_app.models import AtRevision, ClipKind, ClipOverride, Dataset
from datasets_app.revisions import DataRevision
from edgewise.spec.dataset import ORIGINAL_NOISE, DatasetParameters


@dataclass(frozen=True)
class ClipChange:
    """A clip that is not what it was."""

    clip: uuid.UUID
    name: str
    kind: str
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
        number, _, rest = ", ".join(parts).partition(" ")
        return f"{number} {'clip was' if number == '1' else 'clips were'} {rest}"


def changes_since(dataset: Dataset, at: AtRevision) -> Changes:
    """List the clips of a dataset that edits have changed since a run, or the dataset itself, was made.

    Words that are no keywords count where the dataset may draw them as `<unknown>`.
    """
    chosen = dataset.recipe
    found = [change for change in _changed(DataRevision.of(dataset, at.revision)) if _is_heard(change, chosen)]
    if dataset.noise_source is not None:
        changed = _changed(DataRevision.of_noise(dataset, at.noise_revision))
        found += [change for change in changed if change.kind == ClipKind.NOISE]
    return Changes(sorted(found, key=lambda change: change.name))


def _is_heard(change: ClipChange, recipe: DatasetParameters) -> bool:
    if change.kind == ClipKind.NOISE:
        return recipe.noise == ORIGINAL_NOISE
    return bool(recipe.unknown_percentage) or not {change.before, change.after}.isdisjoint(recipe.keywords)


def _changed(then: DataRevision) -> Iterator[ClipChange]:
    """Yield the clips that are not what they were: an override has ended since then, or begun."""
    ended = Q(since__lte=then.number, until__gt=then.number)
    begun = Q(since__gt=then.number, until__isnull=True)
    rows = ClipOverride.objects.filter(ended | begun, workspace=then.workspace, clip__raw_data=then.raw_data)
    fields = ("clip", "clip__name", "clip__kind", "clip__label", "label", "excluded", "until")
    changes: dict[uuid.UUID, ClipChange] = {}
    for clip, name, kind, recorded, edited, excluded, until in rows.values_list(*fields):
        label = None if excluded else edited
        change = changes.get(clip) or ClipChange(clip, name, kind, then.raw_data.pk, recorded, recorded)
        changes[clip] = replace(change, after=label) if until is None else replace(change, before=label)
    yield from (change for change in changes.values() if change.before != change.after)
