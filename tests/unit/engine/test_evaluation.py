"""Judging, counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.engine.evaluation import intervals, judge, probabilities, softmax_cross_entropy, wilson

TRUTH = np.array([0, 0, 0, 1, 1, 2])
TAKEN_FOR = np.array([0, 0, 1, 1, 0, 1])
LOGITS = np.eye(4)[TAKEN_FOR] * 2.0


def test_a_report_counted_by_hand() -> None:
    report = judge(LOGITS, TRUTH, ("a", "b", "c", "absent"))
    assert report.clips == 6
    assert report.confusion.tolist() == [[2, 1, 0, 0], [1, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]]
    assert report.accuracy.value == pytest.approx(3 / 6)
    assert report.balanced_accuracy == pytest.approx((2 / 3 + 1 / 2 + 0) / 3)  # a label without clips does not count
    a, b, c, absent = report.labels
    assert (a.precision, a.recall, a.f1, a.support) == pytest.approx((2 / 3, 2 / 3, 2 / 3, 3))
    assert (b.precision, b.recall, b.f1, b.support) == pytest.approx((1 / 3, 1 / 2, 2 / 5, 2))
    assert (c.precision, c.recall, c.f1, c.support) == (0, 0, 0, 1)
    assert (absent.precision, absent.recall, absent.f1, absent.support) == (0, 0, 0, 0)


def test_cross_entropy_by_hand() -> None:
    certain = np.log(1 + 3 * np.exp(-2))
    assert judge(LOGITS, TRUTH, ("a", "b", "c", "d")).loss == pytest.approx((3 * certain + 3 * (certain + 2)) / 6)
    assert softmax_cross_entropy(np.zeros((1, 4)), np.array([2])) == pytest.approx(np.log(4))


def test_large_logits_do_not_overflow() -> None:
    logits = np.array([[1e4, 0.0], [-1e4, 0.0]], dtype=np.float32)
    assert softmax_cross_entropy(logits, np.array([0, 1])) == pytest.approx(0)
    assert probabilities(logits).tolist() == [[1, 0], [0, 1]]


@pytest.mark.parametrize(
    ("hits", "clips", "low", "high"),
    [(0, 0, 0, 1), (0, 10, 0, 0.27753), (10, 10, 0.72247, 1), (81, 263, 0.25529, 0.36621)],
)
def test_wilson_bounds(hits: int, clips: int, low: float, high: float) -> None:
    """The last row is the worked example of Newcombe (1998), table I."""
    interval = wilson(hits, clips)
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=1e-4)


@given(st.integers(1, 10_000).flatmap(lambda clips: st.tuples(st.integers(0, clips), st.just(clips))))
def test_wilson_holds_the_share(case: tuple[int, int]) -> None:
    interval = wilson(*case)
    assert 0 <= interval.low <= interval.value <= interval.high <= 1


def test_bootstrap_intervals_hold_the_value_and_repeat() -> None:
    generator = np.random.default_rng(0)
    truth = generator.integers(4, size=200)
    logits = generator.standard_normal((200, 4)) + 2 * np.eye(4)[truth]
    found = intervals(logits, truth, 4)
    report = judge(logits, truth, ("a", "b", "c", "d"))
    assert found == intervals(logits, truth, 4)
    assert found["balanced_accuracy"].value == pytest.approx(report.balanced_accuracy)
    assert found["loss"].value == pytest.approx(report.loss)
    for interval in found.values():
        assert interval.low < interval.value < interval.high
