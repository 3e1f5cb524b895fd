"""Which clips to show: one filter for the page and the API."""

from __future__ import annotations

from typing import Any, ClassVar

import django_filters
from django.db.models import F, FloatField, OuterRef, Q, QuerySet, Value
from django.db.models.functions import Cast

from datasets_app.findings.kinds import KINDS
from datasets_app.models import Clip, ClipEditItem, ClipKind, Split
from datasets_app.revisions import DataRevision

STATES = {
    "excluded": ("Excluded", Q(override__excluded=True)),
    "included": ("Not excluded", Q(excluded=False)),
    "relabelled": ("Relabelled", Q(override__isnull=False) & ~Q(override__label=F("label"))),
    "edited": ("Edited", Q(override__isnull=False)),
}


def explored(data: DataRevision) -> QuerySet[Any]:
    """The clips as edited, each with its `duration` in seconds and the `workspace` that edits them."""
    duration = Cast("length", FloatField()) / F("sample_rate")
    return data.clips().annotate(duration=duration, workspace=Value(data.workspace.pk))


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

    def _of_edit(self, clips: QuerySet[Any], name: str, value: Any) -> QuerySet[Any]:
        edited = ClipEditItem.objects.filter(edit=value, edit__workspace=OuterRef("workspace"))
        return clips.filter(pk__in=edited.values("clip"))
