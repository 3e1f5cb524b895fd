"""How fast work advances."""

from __future__ import annotations

import pytest

from workers.attempt import Pace


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, as its only item."""
    now = [100.0]
    monkeypatch.setattr("workers.attempt.time.monotonic", lambda: now[0])
    return now


def test_the_first_report_tells_no_pace() -> None:
    assert Pace()(20) is None


def test_preparation_does_not_count(clock: list[float]) -> None:
    pace = Pace()
    pace(0, "steps")
    clock[0] += 30
    assert pace(0, "steps") is None
    clock[0] += 2
    assert pace(10, "steps") == 5


def test_what_an_earlier_attempt_did_does_not_count(clock: list[float]) -> None:
    pace = Pace()
    pace(1000, "steps")
    clock[0] += 10
    assert pace(1020, "steps") == 2


def test_another_unit_begins_anew(clock: list[float]) -> None:
    pace = Pace()
    pace(0, "MB")
    clock[0] += 1
    assert pace(50, "MB") == 50
    assert pace(100, "files") is None
    clock[0] += 1
    assert pace(103, "files") == 3
