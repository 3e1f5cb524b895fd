"""Raw data as a workspace has edited it: now, or at an earlier revision."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict

from django.db.models import Count, FilteredRelation, Max, Q, QuerySet, Value
from django.db.models.functions import Coalesce

from datasets_app.models import Clip, ClipEdit, ClipKind, ClipOverride, Dataset, RawData, Split
from edgewise.accounts.models import Workspace

if TYPE_CHECKING:
    from django_stubs_ext import WithAnnotations

LabelCounts = dict[str, dict[str, int]]


class Edited(TypedDict):
    """What the edits make of a clip."""

    effective_label: str
    excluded: bool


@dataclass(frozen=True)
class DataRevision:
    """Raw data with the edits of one workspace, up to a revision."""

    raw_data: RawData
    workspace: Workspace
    number: int | None = None
    """0 is the data as it was recorded; None is whatever is newest when it is read."""

    @classmethod
    def of(cls, dataset: Dataset, number: int | None = None) -> DataRevision:
        """The data of a dataset."""
        return cls(dataset.raw_data, dataset.workspace, number)

    @classmethod
    def of_noise(cls, dataset: Dataset, number: int | None = None) -> DataRevision:
        """The data that a dataset's noise comes from."""
        return cls(dataset.noise_data, dataset.workspace, number)

    def clips(self) -> QuerySet[WithAnnotations[Clip, Edited]]:
        """All clips, each with its `effective_label` and whether it is `excluded`."""
        return Clip.objects.filter(raw_data=self.raw_data).annotate(
            override=FilteredRelation("overrides", condition=self._in_force("overrides__")),
            effective_label=Coalesce("override__label", "label"),
            excluded=Coalesce("override__excluded", Value(False)),
        )

    def overrides(self) -> QuerySet[ClipOverride]:
        """What the edits make of those clips that they change."""
        return ClipOverride.objects.filter(self._in_force(), clip__raw_data=self.raw_data)

    def label_counts(self) -> LabelCounts:
        """Count the words by label and split, without those that are excluded: {label: {split: clips}}."""
        counts = {label: Counter(splits) for label, splits in self.raw_data.label_counts.items()}
        words = self.overrides().filter(clip__kind=ClipKind.WORD)
        edited = words.values_list("clip__label", "clip__split", "label", "excluded")
        for recorded, split, label, excluded, clips in edited.annotate(clips=Count("pk")):
            counts[recorded][split] -= clips
            if not excluded:
                counts.setdefault(label, Counter())[split] += clips
        return {
            label: {split: splits[split] for split in Split.values}
            for label, splits in sorted(counts.items())
            if splits.total()
        }

    def _in_force(self, prefix: str = "") -> Q:
        def where(**conditions: object) -> Q:
            return Q(**{f"{prefix}{name}": value for name, value in conditions.items()})

        still = where(until__isnull=True)
        if self.number is None:
            return where(workspace=self.workspace) & still
        return where(workspace=self.workspace, since__lte=self.number) & (still | where(until__gt=self.number))


class Revisions(TypedDict):
    """The fields of `AtRevision`."""

    revision: int
    noise_revision: int


def newest_revisions(dataset: Dataset) -> Revisions:
    """Revisions of what is made of a dataset now."""
    revision = newest_revision(dataset.workspace, dataset.raw_data)
    source = dataset.noise_source
    return {"revision": revision, "noise_revision": newest_revision(dataset.workspace, source) if source else revision}


def newest_revision(workspace: Workspace, raw_data: RawData) -> int:
    """Number of the workspace's last edit of raw data; 0 where there is none."""
    edits = ClipEdit.objects.filter(workspace=workspace, raw_data=raw_data)
    return edits.aggregate(newest=Max("revision"))["newest"] or 0
