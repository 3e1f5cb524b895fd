"""What raw data says of its clips as a whole, so that pages need not count them."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from datasets_app.models import ClipKind, RawData, Split


class ClipFacts(NamedTuple):
    """What the summary needs to know of a clip; `length` in samples."""

    kind: str
    label: str
    split: str
    length: int
    sample_rate: int


def summarize(raw_data: RawData, clips: Iterable[ClipFacts]) -> None:
    """Set counts, duration, rate and median of raw data, at least one of whose clips is a word; the caller saves."""
    rows = list(clips)
    words = [clip for clip in rows if clip.kind == ClipKind.WORD]
    counts: dict[str, dict[str, int]] = {}
    for clip in words:
        splits = counts.setdefault(clip.label, dict.fromkeys(Split.values, 0))
        splits[clip.split] += 1
    raw_data.clip_count, raw_data.noise_count = len(words), len(rows) - len(words)
    raw_data.seconds = sum(clip.length / clip.sample_rate for clip in rows)
    raw_data.sample_rate = Counter(clip.sample_rate for clip in words).most_common(1)[0][0]
    raw_data.median_milliseconds = round(statistics.median(1000 * clip.length / clip.sample_rate for clip in words))
    raw_data.label_counts = dict(sorted(counts.items()))
