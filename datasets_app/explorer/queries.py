"""What the explorer's pages read. None of it grows with the number of clips but one scan of them."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, F, IntegerField, Q, Value
from django.db.models.functions import Cast, Concat, Floor

from datasets_app.explorer.filters import ClipFilter, explored
from datasets_app.models import ClipEdit, ClipKind
from datasets_app.revisions import DataRevision
from edgewise.lookup import one

CLIPS_ON_A_PAGE = 40
EDITS_ON_A_PAGE = 100
LEVEL_STEP_DB = 4
LOWEST_LEVEL_DBFS = -80
DURATION_STEPS_TO_MEDIAN = 8
LONGEST_DURATION_STEPS = 24

ORDERS = {
    "name": ("By name", "name", False),
    "longest": ("Longest first", "duration", True),
    "shortest": ("Shortest first", "duration", False),
    "loudest": ("Loudest first", "rms_dbfs", True),
    "quietest": ("Quietest first", "rms_dbfs", False),
}


# --- the table --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ClipPage:
    """Some clips in order, and where the pages before and after them are anchored."""

    clips: list[Any]
    matching: int
    before: uuid.UUID | None
    after: uuid.UUID | None


def clip_page(
    data: DataRevision, wanted: ClipFilter, order: str, before: uuid.UUID | None, after: uuid.UUID | None
) -> ClipPage:
    """Read the clips that follow `after`, or that come ahead of `before`.

    Pages begin at a clip instead of a number, so the last one is as quick as the first, and an edit shifts none.
    """
    _, key, is_descending = ORDERS[order]
    is_backwards = before is not None
    upwards = is_descending == is_backwards
    # Matches may all lie at the end of the index of names: with a filter, sorting what matches is quicker than walking.
    place = Concat(key, Value("")) if key == "name" and wanted.form.has_changed() else F(key)
    rows = wanted.qs.annotate(place=place)
    anchor = None
    if start := before or after:
        anchor = explored(data).annotate(place=place).filter(pk=start).values_list("place", "pk").first()
    if anchor:
        rows = rows.filter(_beyond(*anchor, upwards=upwards))
    rows = rows.order_by("place" if upwards else "-place", "pk" if upwards else "-pk")
    # Ids first: wide rows of all clips are slow to sort.
    found = list(rows.values_list("pk", flat=True)[: CLIPS_ON_A_PAGE + 1])
    has_more = len(found) > CLIPS_ON_A_PAGE
    ids = found[:CLIPS_ON_A_PAGE]
    if is_backwards:
        ids.reverse()
    clips = explored(data).filter(pk__in=ids).prefetch_related("findings__other").in_bulk()
    has_before = has_more if is_backwards else anchor is not None
    has_after = is_backwards or has_more
    return ClipPage(
        [clips[pk] for pk in ids],
        matching=wanted.qs.order_by().count(),
        before=ids[0] if ids and has_before else None,
        after=ids[-1] if ids and has_after else None,
    )


def _beyond(place: Any, pk: uuid.UUID, *, upwards: bool) -> Q:
    """Rows that are sorted behind (place, pk). The second condition implies the first, which an index serves."""
    side = "gt" if upwards else "lt"
    return Q(**{f"place__{side}e": place}) & (Q(**{f"place__{side}": place}) | Q(**{f"pk__{side}": pk}))


# --- the history ------------------------------------------------------------------------------------------------------


def history(data: DataRevision, before: int | None = None) -> list[ClipEdit]:
    """The newest edits, or the newest before a revision, each with who made it and what undid it."""
    edits = ClipEdit.objects.filter(workspace=data.workspace, raw_data=data.raw_data)
    if before is not None:
        edits = edits.filter(revision__lt=before)
    return list(edits.select_related("created_by", "undoes", "undone_by").order_by("-revision")[:EDITS_ON_A_PAGE])


def edit(data: DataRevision, edit_id: uuid.UUID) -> ClipEdit:
    """One of the workspace's edits of the data."""
    rows = ClipEdit.objects.filter(workspace=data.workspace, raw_data=data.raw_data, pk=edit_id)
    return one(rows.select_related("undone_by", "workspace", "raw_data"), "edit")


# --- small charts -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Column:
    """A column of a histogram: place and size in percent of the chart."""

    title: str
    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True)
class Histogram:
    """How many clips lie where, with the ends of the axis in words."""

    title: str
    columns: list[Column]
    low: str
    high: str


def histograms(data: DataRevision) -> list[Histogram]:
    """Durations, levels, and sample rates where they differ, of the words that are not excluded: one pass over them."""
    step = max(data.raw_data.median_milliseconds, 1) / 1000 / DURATION_STEPS_TO_MEDIAN
    clips = explored(data).filter(kind=ClipKind.WORD, excluded=False).order_by()
    rows = clips.values_list(
        Cast(Floor(F("duration") / step), IntegerField()),
        Cast(Floor(F("rms_dbfs") / LEVEL_STEP_DB), IntegerField()),
        "sample_rate",
    ).annotate(clips=Count("pk"))
    durations, levels, rates = Counter[int](), Counter[int](), Counter[int]()
    for duration, level, rate, count in rows:
        durations[min(duration, LONGEST_DURATION_STEPS)] += count
        levels[max(level, LOWEST_LEVEL_DBFS // LEVEL_STEP_DB)] += count
        rates[rate] += count
    charts = [
        _histogram("Duration", durations, lambda place: _duration(place, step)),
        _histogram("Level", levels, lambda place: f"{place * LEVEL_STEP_DB} dBFS"),
    ]
    if len(rates) > 1:
        ordered = sorted(rates)
        by_place = Counter({place: rates[rate] for place, rate in enumerate(ordered)})
        charts.append(_histogram("Sample rate", by_place, lambda place: f"{ordered[place]:,} Hz"))
    return [chart for chart in charts if chart.columns]


def _duration(place: int, step: float) -> str:
    return f"{place * step:.2f} s" + (" or more" if place == LONGEST_DURATION_STEPS else "")


def _histogram(title: str, counts: Counter[int], name: Callable[[int], str]) -> Histogram:
    if not counts:
        return Histogram(title, [], "", "")
    first, last = min(counts), max(counts)
    width, most = 100 / (last - first + 1), max(counts.values())
    columns = []
    for place, count in sorted(counts.items()):
        height = round(100 * count / most, 2)
        left = round((place - first) * width, 2)
        columns.append(Column(f"{name(place)}: {count:,}", left, 100 - height, round(width, 2), height))
    return Histogram(title, columns, name(first), name(last))


def label_choices(labels: Sequence[str], chosen: str) -> list[str]:
    """Labels to filter by; the chosen one stays, also where no clip has it any more."""
    return sorted({*labels, chosen} - {""})
