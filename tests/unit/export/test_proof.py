"""A form that does not compute what was trained is not let through."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.networks import random_clips, random_network
from workers.engine.errors import EngineError
from workers.export.forms import QUANTISED, TFLITE
from workers.export.proof import Evidence, prove


def test_a_sound_form_is_judged_on_the_clips(tmp_path: Path) -> None:
    trained = random_network("kws-small")
    evidence = Evidence.gather(trained, random_clips(tmp_path))
    TFLITE.write(tmp_path, trained)
    proof = prove(TFLITE, tmp_path, trained, evidence)
    assert proof.largest_difference < 1e-4
    assert proof.agreement == 1
    assert proof.report.clips == 30
    assert proof.report.accuracy.value == np.mean(evidence.logits.argmax(axis=1) == evidence.truth)


@pytest.mark.parametrize("error", [0.01, float("nan")])
def test_a_form_that_differs_is_refused_with_its_reason(tmp_path: Path, error: float) -> None:
    trained = random_network("kws-small")
    evidence = Evidence.gather(trained, random_clips(tmp_path))
    form = replace(TFLITE, write=lambda *_: None, load=lambda _: lambda audio: evidence.logits[: len(audio)] + error)
    with pytest.raises(EngineError) as refused:
        prove(form, tmp_path, trained, replace(evidence, audio=evidence.audio[:30]))
    assert refused.value.code == "export-differs"
    assert "differ by" in refused.value.reason


@pytest.mark.parametrize(("wrong", "is_let_through"), [(0, True), (1, True), (2, False)])
def test_a_quantised_form_may_differ_in_a_label_of_a_hundred_or_one_clip(
    tmp_path: Path, wrong: int, is_let_through: bool
) -> None:
    trained = random_network("kws-small")
    evidence = Evidence.gather(trained, random_clips(tmp_path))
    logits = evidence.logits + 0.1
    logits[:wrong] *= -1
    form = replace(TFLITE, load=lambda _: lambda audio: logits[: len(audio)], bound=QUANTISED)
    if is_let_through:
        assert prove(form, tmp_path, trained, evidence).agreement == 1 - wrong / 30
    else:
        with pytest.raises(EngineError, match="agrees on 93"):
            prove(form, tmp_path, trained, evidence)


def test_at_most_500_clips_are_taken_evenly(tmp_path: Path) -> None:
    trained = random_network("kws-small")
    clips = random_clips(tmp_path, count=1200)
    evidence = Evidence.gather(trained, clips)
    assert len(evidence.audio) == 500
    assert evidence.available == 1200
    assert np.array_equal(evidence.audio[-1], clips.around(1199, 0, trained.clip_samples))
    assert len(evidence.sample(10).audio) == 10
