"""Which clips to show: one filter for the page and the API, and the flags that it knows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import django_filters
from django.db.models import Case, F, FloatField, Q, QuerySet, Value, When
from django.db.models.functions import Cast

from datasets_app.findings.kinds import KINDS
from datasets_app.models import Clip, ClipEditItem, ClipKind, Split
from datasets_app.revisions import DataRevision

NEARLY_SILENT_DBFS = -50
FULL_SCALE_DBFS = -0.05
STATES = {
    "excluded": ("Excluded", Q(override__excluded=True)),
    "included": ("Not excluded", Q(excluded=False)),
    "relabelled": ("Relabelled", Q(override__isnull=False) & ~Q(override__label=F("label"))),
    "edited": ("Edited", Q(override__isnull=False)),
}


@dataclass(frozen=True)
class Flag:
    """Something about a clip that deserves a look."""

    name: str
    title: str
    why: str
    condition: Q


MEDIAN_SECONDS = F("raw_data__median_milliseconds") / 1000.0
FLAGS = (
    Flag("silent", "Nearly silent", f"Its level is below {NEARLY_SILENT_DBFS} dBFS.",
         Q(rms_dbfs__lt=NEARLY_SILENT_DBFS)),
    Flag("full_scale", "Full scale", "It touches the largest value: perhaps it was recorded too loudly.",
         Q(peak_dbfs__gt=FULL_SCALE_DBFS)),
    Flag("short", "Short", "It is shorter than half the median.",
         Q(kind=ClipKind.WORD, duration__lt=MEDIAN_SECONDS / 2)),
    Flag("long", "Long", "It is longer than twice the median.",
         Q(kind=ClipKind.WORD, duration__gt=MEDIAN_SECONDS * 2)),
)  # fmt: skip


def explored(data: DataRevision) -> QuerySet[Any]:
    """The clips as edited, each with its `duration` in seconds."""
    return data.clips().annotate(duration=Cast("length", FloatField()) / F("sample_rate"))


def with_flags(clips: QuerySet[Any]) -> QuerySet[Any]:
    """Add a truth value for each flag (`is_silent`, …) to what `explored` gives."""
    flags = {f"is_{flag.name}": Case(When(flag.condition, then=Value(True)), default=Value(False)) for flag in FLAGS}
    flagged: QuerySet[Any] = clips.annotate(**flags)
    return flagged


def flags_of(clip: Any) -> list[Flag]:
    """The flags of a clip that `with_flags` gave."""
    return [flag for flag in FLAGS if getattr(clip, f"is_{flag.name}")]


class ClipFilter(django_filters.FilterSet):  # type: ignore[misc]
    """Filter what `explored` gives; conditions are combined."""

    search = django_filters.CharFilter(method="_search", help_text="Part of the name or of the speaker.")
    label = django_filters.CharFilter(field_name="effective_label", help_text="As edited.")
    speaker = django_filters.CharFilter()
    split = django_filters.ChoiceFilter(choices=Split.choices)
    kind = django_filters.ChoiceFilter(choices=ClipKind.choices)
    state = django_filters.ChoiceFilter(
        choices=[(name, title) for name, (title, _) in STATES.items()], method="_in_state", help_text="What edits did."
    )
    flag = django_filters.ChoiceFilter(
        choices=[(flag.name, flag.title) for flag in FLAGS], method="_flagged", help_text="What deserves a look."
    )
    finding = django_filters.ChoiceFilter(
        choices=[(kind.code.value, kind.title) for kind in KINDS.values()], field_name="findings__code",
        help_text="What the check noticed.",
    )  # fmt: skip
    edit = django_filters.UUIDFilter(method="_of_edit", help_text="The clips of this edit.")

    class Meta:
        model = Clip
        fields: ClassVar[list[str]] = []

    def _search(self, clips: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        return clips.filter(Q(name__icontains=value) | Q(speaker__icontains=value))

    def _in_state(self, clips: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        return clips.filter(STATES[value][1])

    def _flagged(self, clips: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        return clips.filter(next(flag.condition for flag in FLAGS if flag.name == value))

    def _of_edit(self, clips: QuerySet[Any], name: str, value: Any) -> QuerySet[Any]:
        return clips.filter(pk__in=ClipEditItem.objects.filter(edit=value).values("clip"))
