"""How pages write icons, states, times, durations and sizes."""

from __future__ import annotations

import datetime
import json
import math
import re
from collections.abc import Sequence
from typing import Any

from django import template
from django.templatetags.static import static
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from edgewise.jobs.models import Job
from edgewise.jobs.presentation import snapshot

register = template.Library()

# In this order: each browser also names those that it wants to be taken for.
BROWSERS = (("Edg", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari"))
SYSTEMS = (
    ("Windows", "Windows"), ("Android", "Android"), ("iPhone", "iOS"), ("iPad", "iPadOS"), ("CrOS", "ChromeOS"),
    ("Mac OS X", "macOS"), ("Linux", "Linux"),
)  # fmt: skip
STEPS = ((60, "second"), (60, "minute"), (24, "hour"), (30, "day"), (12, "month"), (math.inf, "year"))
SPARKLINE_WIDTH, SPARKLINE_HEIGHT = 64, 20


@register.simple_tag
def icon(name: str, size: int = 18) -> SafeString:
    """Draw an icon of the sheet. It says nothing to readers: the words beside it do."""
    return format_html(
        '<svg width="{0}" height="{0}" aria-hidden="true" focusable="false"><use href="{1}#{2}"/></svg>',
        size, static("icons.svg"), name,
    )  # fmt: skip


@register.filter
def job(row: Job) -> dict[str, Any]:
    """Describe a job in the one shape that API and live events share."""
    return snapshot(row)


@register.filter
def ago(moment: datetime.datetime | None) -> SafeString | str:
    """Write a time as "5 minutes ago", with the exact one on hover."""
    if moment is None:
        return "–"
    return format_html(
        '<time datetime="{}" title="{} UTC" data-relative>{}</time>',
        moment.isoformat(), moment.astimezone(datetime.UTC).strftime("%Y-%m-%d %H:%M:%S"), relative(moment),
    )  # fmt: skip


def relative(moment: datetime.datetime) -> str:
    """Say how long ago `moment` was."""
    amount = (timezone.now() - moment).total_seconds()
    if abs(amount) < 10:
        return "just now"
    size, unit = abs(amount), "second"
    for limit, name in STEPS:
        unit = name
        if size < limit:
            break
        size /= limit
    count = f"{int(size)} {unit}{'' if int(size) == 1 else 's'}"
    return f"{count} ago" if amount > 0 else f"in {count}"


@register.filter
def duration(seconds: float | None) -> str:
    """Write seconds as people say them: 45 s, 12 min 5 s, 3 h 20 min."""
    if seconds is None:
        return "–"
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    hours, minutes = whole // 3600, whole % 3600 // 60
    return f"{hours:,} h {minutes} min" if minutes else f"{hours:,} h"


@register.filter
def lasted(row: Job) -> str:
    """Say how long a job has run."""
    if row.started_at is None:
        return ""
    return duration(((row.finished_at or timezone.now()) - row.started_at).total_seconds())


@register.filter
def thousands(number: float | None) -> str:
    """Write a number with separators: 20,000."""
    if number is None:
        return "–"
    return f"{number:,.0f}" if float(number).is_integer() else f"{number:,.4g}"


@register.filter
def percent(fraction: float | None, digits: int = 1) -> str:
    """Write a fraction as a percentage."""
    return "–" if fraction is None else f"{100 * fraction:.{digits}f}%"


@register.filter
def byte_size(count: float | None) -> str:
    """Write bytes with a decimal unit."""
    if count is None:
        return "–"
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 100 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


@register.filter
def compact(number: float | None) -> str:
    """Write a large number shortly: 1.3 M."""
    if number is None:
        return "–"
    size = float(number)
    for unit in ("", " k", " M", " G"):
        if size < 1000:
            return f"{size:.0f}{unit}" if not unit or size >= 100 else f"{size:.1f}{unit}"
        size /= 1000
    return f"{size:.1f} T"


@register.filter
def plural(count: int, noun: str) -> str:
    """Write "1 clip", "2 clips"; `noun` may give both as "entry,entries"."""
    one, _, many = noun.partition(",")
    return f"{count:,} {one if count == 1 else many or one + 's'}"


@register.filter
def get(mapping: dict[Any, Any], key: Any) -> Any:
    """Look up a key that a template holds in a variable."""
    return mapping.get(key)


@register.filter
def sparkline(values: Sequence[float] | None) -> SafeString | str:
    """Draw a curve without axes; the number beside it says where it ended."""
    if not values or len(values) < 2:
        return ""
    low, high = min(values), max(values)
    across, up = SPARKLINE_WIDTH / (len(values) - 1), SPARKLINE_HEIGHT - 2
    points = " ".join(
        f"{across * index:.1f},{1 + up * (1 - (value - low) / (high - low or 1)):.1f}"
        for index, value in enumerate(values)
    )
    return format_html(
        '<svg viewBox="0 0 {} {}" aria-hidden="true"><polyline points="{}" fill="none" stroke="currentcolor"'
        ' stroke-width="1.5" stroke-linejoin="round"/></svg>',
        SPARKLINE_WIDTH, SPARKLINE_HEIGHT, points,
    )  # fmt: skip


@register.filter
def field_error(fields: dict[str, str] | str, name: str) -> str:
    """Find the error of one field; a form without errors has none."""
    return fields.get(name, "") if isinstance(fields, dict) else ""


@register.filter
def stage_number(name: str) -> str:
    """Say to which stage of a network a field belongs; other fields need no such words."""
    found = re.fullmatch(r"network\.stages\.(\d+)\..+", name)
    return f"Stage {int(found[1]) + 1}: " if found else ""


@register.filter
def pace(snapshot_of_job: dict[str, Any]) -> str:
    """Say how far a job is, how fast, and what is left. `job.js` uses the same words."""
    progress, rate = snapshot_of_job["progress"], snapshot_of_job["rate"]
    unit, parts = progress["unit"], []
    if progress["total"]:
        parts.append(f"{progress['done']:,} / {progress['total']:,} {unit}".strip())
    elif progress["done"]:
        parts.append(f"{progress['done']:,} {unit}".strip())
    if rate:
        parts.append(f"{rate:,.0f} {unit}/s" if rate >= 10 else f"{rate:.1f} {unit}/s")
    if snapshot_of_job["seconds_left"]:
        parts.append(f"{duration(snapshot_of_job['seconds_left'])} left")
    return " · ".join(parts)


@register.filter(name="json")
def as_json(value: Any) -> str:
    """Write a value as JSON, for an attribute that a script reads; the template escapes it."""
    return json.dumps(value, ensure_ascii=False)


@register.filter
def significant(number: float | None) -> str:
    """Write a small number with three digits that matter: 0.00284."""
    return "–" if number is None else f"{number:.3g}"


@register.filter
def browser(user_agent: str) -> str:
    """Name browser and system by what a browser says of itself: "Firefox on Linux"."""
    named = [
        next((name for mark, name in marks if mark in user_agent), unknown)
        for marks, unknown in ((BROWSERS, "Another program"), (SYSTEMS, "another system"))
    ]
    return " on ".join(named)
