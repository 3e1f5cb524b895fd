"""Estimates for boards stay within the error that is stated, by figures that others published."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from edgewise.spec.estimates import (
    BOARDS,
    RULE_ERROR,
    Work,
    estimates,
    left_out_cores,
    left_out_power,
    left_out_tasks,
    predicted_instructions,
)

WORK = Work(macs=29_853, fft_points=1024, stride_seconds=0.02, precision="int8", counted={})
COUNTED = {  # instructions of a second of audio in the emulator, by multiply-accumulates of a second
    "float32": {1_492_650: 13_155_010, 4_113_450: 28_189_630, 7_284_650: 45_622_580},
    "int8": {1_492_650: 14_758_560, 4_113_450: 30_641_730, 7_284_650: 48_084_100},
}


@pytest.mark.parametrize(("left_out", "within"), [(left_out_tasks, 1.7), (left_out_cores, 1.25), (left_out_power, 1.1)])
def test_what_is_left_out_is_predicted_within_the_documented_factor(
    left_out: Callable[[], Iterator[tuple[str, str, float]]], within: float
) -> None:
    for source, task, factor in left_out():
        assert 1 / within <= factor <= within, f"{task} of {source}"


@pytest.mark.parametrize("precision", COUNTED)
def test_the_rule_meets_what_the_emulator_counted(precision: str) -> None:
    for macs, instructions in COUNTED[precision].items():
        predicted = predicted_instructions("cortex-m4f", replace(WORK, macs=macs / 50, precision=precision))
        assert 1 / RULE_ERROR <= predicted * 50 / instructions <= RULE_ERROR


def test_counted_instructions_replace_the_rule_and_narrow_the_range() -> None:
    ruled = {row.board: row for row in estimates(WORK)}
    counted = {row.board: row for row in estimates(replace(WORK, counted={"cortex-m4f": 295_171}))}
    board = "nRF52840, 64 MHz"
    for row in (ruled[board], counted[board]):
        assert row.latency_ms
        assert row.latency_ms.low < row.latency_ms.middle < row.latency_ms.high
    assert "counted in the emulator" in counted[board].basis
    assert counted[board].latency_ms.middle == pytest.approx(295_171 * 1.4 / 64e3, rel=0.05)
    assert counted["RP2040, 133 MHz"] == ruled["RP2040, 133 MHz"]


def test_energy_and_days_follow_from_latency_and_published_power() -> None:
    row = estimates(WORK)[0]
    assert row.latency_ms is not None
    assert row.energy_uj is not None
    assert row.power_mw is not None
    assert row.battery_days is not None
    assert row.energy_uj.middle == pytest.approx(row.latency_ms.middle * 9.9, rel=0.1)
    assert row.power_mw.middle == pytest.approx(row.energy_uj.middle / 20, rel=0.1)
    assert row.battery_days.middle == pytest.approx(3000 / row.power_mw.middle / 24, rel=0.1)


def test_where_nothing_was_published_no_figure_is_given() -> None:
    rows = {row.board.split(",")[0]: row for row in estimates(WORK)}
    for board in BOARDS:
        assert (rows[board.title.split(",")[0]].energy_uj is None) == (board.milliwatts is None)
    assert rows["Coral USB Accelerator"].latency_ms is None
    assert "No figure" in rows["Coral USB Accelerator"].note
