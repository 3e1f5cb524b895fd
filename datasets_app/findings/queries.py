"""Findings as a workspace's edits have left them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import BooleanField, Case, Count, Exists, OuterRef, Q, QuerySet, Value, When

from datasets_app.findings.kinds import KINDS, Kind
from datasets_app.models import Finding
from datasets_app.revisions import DataRevision
from edgewise.spec.quality import FindingCode

ABOUT_LABELS = (FindingCode.WRONG_LABEL, FindingCode.CONFLICTING_LABELS)


@dataclass(frozen=True)
class Noticed:
    """All findings of one kind."""

    kind: Kind
    clips: int
    open: int
    """Clips that no edit has dealt with."""
    speakers: int
    """Different speakers of these clips, as far as their names tell."""


def findings(data: DataRevision) -> QuerySet[Any]:
    """List the findings, the surest first, each with whether it is `settled`: undoing the edit opens it again.

    Where the copy that should stay was excluded, the first of the others stays in its place.
    """
    excluded = data.overrides().filter(excluded=True).values("clip")
    ahead = Finding.objects.filter(other=OuterRef("other"), pk__lt=OuterRef("pk"))
    ahead = ahead.exclude(clip=OuterRef("clip")).exclude(clip__in=excluded)
    settled = Q(clip__in=excluded) | (Q(other__in=excluded) & ~Q(Exists(ahead)))
    settled |= Q(code__in=ABOUT_LABELS, clip__in=data.overrides().values("clip"))
    return (
        Finding.objects.filter(raw_data=data.raw_data)
        .annotate(settled=Case(When(settled, then=Value(True)), default=Value(False), output_field=BooleanField()))
        .order_by("-score", "pk")
    )


def noticed(data: DataRevision) -> list[Noticed]:
    """Count the findings of each kind, the gravest first."""
    rows = (
        findings(data)
        .order_by()
        .values_list("code")
        .annotate(
            clips=Count("pk"),
            open=Count("pk", filter=Q(settled=False)),
            speakers=Count("clip__speaker", distinct=True, filter=~Q(clip__speaker="")),
        )
    )
    counts = {code: Noticed(KINDS[FindingCode(code)], *numbers) for code, *numbers in rows}
    return [counts[code] for code in FindingCode if code in counts]
