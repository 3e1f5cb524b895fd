"""Clips that are far from all others stand out, whatever else there is."""

from __future__ import annotations

import numpy as np

from workers.engine.embedding import surroundings


def test_the_far_are_found_among_many_copies() -> None:
    points = np.random.default_rng(0).normal(size=(200, 5)).astype(np.float32)
    copies, far = np.repeat(points[:1], 300, axis=0), np.full((1, 5), 100, np.float32)
    found = surroundings(np.concatenate([points, copies, far])).is_far
    assert found[-1]
    assert found.sum() <= 3


def test_among_nothing_but_copies_none_is_far() -> None:
    assert not surroundings(np.ones((30, 5), np.float32)).is_far.any()
