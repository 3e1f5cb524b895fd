"""What `./edgewise bench` prints: a table for people, and one JSON object on the last line for programs."""

from __future__ import annotations

import json

import pytest

from workers.bench import __main__ as bench
from workers.bench.figures import Figure
from workers.bench.measure import Timing, alternate, times_as_fast

FIGURES = {
    "features": [
        Figure("vs_np_mfcc", 3.456, "times", at_least=2),
        Figure("vs_librosa", 4.5, "times", 1.25, at_least=5),
    ],
    "training": [Figure("all_outputs.vs_keras_lmu", 5.9, "times", at_least=3)],
    "explorer": [Figure("clips", 150, "ms", at_most=200), Figure("edits", 250, "ms", at_most=200)],
}


@pytest.fixture(autouse=True)
def measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure nothing."""
    monkeypatch.setattr(bench, "_measure", lambda name, options: FIGURES.get(name, []))


def test_json_is_the_last_line_and_names_figures_as_promised(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["--json"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert list(found) == ["machine", "versions", "load", "features", "ingest", "training", "inference"]
    assert found["features"] == {"vs_np_mfcc": 3.456, "vs_librosa": 4.5}
    assert found["training"]["all_outputs.vs_keras_lmu"] == 5.9
    assert {"cpu", "cores", "memory_gib", "os"} == set(found["machine"])
    assert {"edgewise", "python", "numpy", "tensorflow", "keras-lmu", "librosa"} <= set(found["versions"])
    assert len(found["load"]) == 3


def test_the_table_shows_what_is_demanded_and_what_missed_it(capsys: pytest.CaptureFixture[str]) -> None:
    bench.main(["features"])
    output = capsys.readouterr().out
    lines = {words[1]: line for line in output.splitlines() if len(words := line.split()) > 2}
    assert "3.456" in lines["features.vs_np_mfcc"]
    assert "missed" not in lines["features.vs_np_mfcc"]
    assert "at least 5 (missed)" in lines["features.vs_librosa"]
    assert output.startswith("machine: cpu ")


def test_a_figure_above_what_is_allowed_is_marked(capsys: pytest.CaptureFixture[str]) -> None:
    bench.main(["explorer"])
    output = capsys.readouterr().out
    lines = {words[1]: line for line in output.splitlines() if len(words := line.split()) > 2}
    assert "missed" not in lines["explorer.clips"]
    assert "at most 200 (missed)" in lines["explorer.edits"]


def test_only_what_was_asked_for_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    bench.main(["training", "--json"])
    assert "features" not in json.loads(capsys.readouterr().out.splitlines()[-1])
    with pytest.raises(SystemExit):
        bench.main(["flight"])
    assert "invalid choice: 'flight'" in capsys.readouterr().err


def test_rounds_alternate_and_the_first_does_not_count() -> None:
    calls: list[str] = []
    timings = alternate({"ours": lambda: calls.append("ours"), "peer": lambda: calls.append("peer")}, rounds=2)
    assert calls == ["ours", "peer"] * 3
    assert [len(timing.rounds) for timing in timings.values()] == [2, 2]


def test_the_ratio_is_the_median_over_the_rounds() -> None:
    ours, peer = Timing((1.0, 2.0, 1.0)), Timing((3.0, 8.0, 50.0))
    assert times_as_fast(ours, peer) == 4
    assert (ours.median, ours.spread) == (1, 2)
