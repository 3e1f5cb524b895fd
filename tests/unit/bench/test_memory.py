"""The bench of memory trains on data that lies on disk once for each clip, and counts all that was held."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from workers.bench.measure import peak_resident_bytes
from workers.bench.memory import DIFFERENT, RATE, repeated
from workers.engine.data import require_clips


def test_each_clip_has_its_own_place_and_each_split_every_label(tmp_path: Path) -> None:
    clips = DIFFERENT + 100
    data = repeated(clips, tmp_path)
    require_clips(data)
    splits = [data.split(name) for name in ("train", "validation", "test")]
    assert [len(split) for split in splits] == [880, 110, 110]
    assert all(set(split.label) == set(range(len(data.labels))) for split in splits)
    places = np.concatenate([split.offset for split in splits])
    assert sorted(places) == [RATE * index for index in range(clips)]
    assert data.train.packs[0].stat().st_size == 2 * RATE * clips


def test_what_was_let_go_counts_too() -> None:
    np.ones(2**28, dtype=np.int8).sum()
    assert peak_resident_bytes() > 2**28
