"""A form that does not compute what was trained is not let through, and its table tells how far it is."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgewise.spec.detection import OperatingPoint
from edgewise.spec.proof import ProofReport
from tests.networks import random_audio, random_clips, random_network
from tests.unit.export.test_artifact import ORIGIN, POINT
from workers.engine.data import Clips
from workers.engine.errors import EngineError
from workers.engine.weights import TrainedNetwork
from workers.export import forms
from workers.export.build import Refused, build
from workers.export.c import outside, wasm
from workers.export.c.emulator import why_not as why_not_emulated
from workers.export.c.host import why_not as why_not_here
from workers.export.forms import FORMATS, QUANTISED, TFLITE, Form, Format, Wishes
from workers.export.proof import Evidence, Proof, Skipped, prove, require, start
from workers.export.report import proof_report


@pytest.fixture(scope="module")
def trained() -> TrainedNetwork:
    return random_network("kws-small")


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Clips:
    return random_clips(tmp_path_factory.mktemp("clips"))


@pytest.fixture(scope="module")
def evidence(trained: TrainedNetwork, clips: Clips) -> Evidence:
    return Evidence.gather(trained, clips)


def giving(logits: np.ndarray, **changes: object) -> Form:
    """A form that gives these logits, whatever it hears."""
    fields = {"load": lambda _: lambda audio: logits[: len(audio)], "load_features": None, **changes}
    return replace(TFLITE, write=lambda *_: None, **fields)


def proved(form: Form, trained: TrainedNetwork, evidence: Evidence) -> Proof:
    proof = prove(form, Path(), trained, evidence)
    assert isinstance(proof, Proof)
    return proof


def test_the_chain_begins_with_the_trained_network(trained: TrainedNetwork, evidence: Evidence) -> None:
    proof = start(trained, evidence)
    assert proof.holds
    assert (proof.largest_difference, proof.agreement, proof.lost_accuracy) == (0, 1, 0)
    assert proof.feature_difference is not None
    assert 0 < proof.feature_difference < 1e-4
    assert proof.report.accuracy.value == np.mean(evidence.logits.argmax(axis=1) == evidence.truth)


@pytest.mark.parametrize("form", [forms.SAVED_MODEL, TFLITE, forms.PYTHON_RUNNER], ids=lambda form: form.title)
def test_a_sound_form_is_judged_by_scores_and_features(
    tmp_path: Path, trained: TrainedNetwork, evidence: Evidence, form: Form
) -> None:
    form.write(tmp_path, trained)
    proof = prove(form, tmp_path, trained, evidence)
    assert isinstance(proof, Proof)
    assert proof.holds
    assert proof.largest_difference < 1e-4
    assert proof.feature_difference is not None
    assert proof.feature_difference < 1e-4
    assert (proof.agreement, proof.report.clips) == (1, 30)


@pytest.mark.parametrize("error", [0.01, float("nan")])
def test_scores_that_differ_are_refused_with_the_reason(
    trained: TrainedNetwork, evidence: Evidence, error: float
) -> None:
    proof = proved(giving(evidence.logits + error), trained, evidence)
    with pytest.raises(EngineError, match="its scores differ by") as refused:
        require((proof,))
    assert refused.value.code == "export-differs"


def test_features_that_differ_are_refused_though_scores_agree(trained: TrainedNetwork, evidence: Evidence) -> None:
    def features(audio: np.ndarray) -> np.ndarray:
        return replace(evidence, audio=audio).features(trained) + np.float32(2e-4)

    proof = proved(giving(evidence.logits, load_features=lambda _: features), trained, evidence)
    assert proof.largest_difference == 0
    with pytest.raises(EngineError, match=r"its features differ by 0\.0002"):
        require((proof,))


@pytest.mark.parametrize(("wrong", "is_let_through"), [(0, True), (1, True), (2, False)])
def test_a_quantised_form_may_differ_in_a_label_of_a_hundred_or_one_clip(
    trained: TrainedNetwork, evidence: Evidence, wrong: int, is_let_through: bool
) -> None:
    logits = evidence.logits + 0.1
    logits[:wrong] *= -1
    proof = proved(giving(logits, bound=QUANTISED), trained, evidence)
    assert proof.agreement == 1 - wrong / 30
    assert proof.holds is is_let_through


def test_what_cannot_be_run_here_is_skipped_and_says_why(trained: TrainedNetwork, evidence: Evidence) -> None:
    skipped = prove(giving(evidence.logits, why_not=lambda: "it rains"), Path(), trained, evidence)
    assert skipped == Skipped("TFLite", "it rains")
    report = proof_report(trained, evidence, (start(trained, evidence), skipped), ORIGIN, "float32")
    assert (report.stages[1].status, report.stages[1].reason) == ("skipped", "it rains")
    assert report.holds


def test_what_takes_too_long_is_skipped_and_says_why(
    tmp_path: Path, trained: TrainedNetwork, evidence: Evidence, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outside, "MOST_SECONDS", 0.1)
    slow = giving(evidence.logits, load=lambda folder: outside.run_program(["sleep", "60"], folder))
    assert prove(slow, tmp_path, trained, evidence) == Skipped("TFLite", "sleep takes longer than 0.1 s for it")


@pytest.mark.parametrize("command", ["false", "no-such-program"])
def test_an_emulator_that_fails_is_named(tmp_path: Path, command: str) -> None:
    with pytest.raises(EngineError, match=command):
        outside.run_program([command], tmp_path)


def test_a_refused_artifact_keeps_the_table_of_all_its_stages(
    tmp_path: Path, trained: TrainedNetwork, clips: Clips, evidence: Evidence, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong, right = giving(evidence.logits + np.float32(0.01)), replace(giving(evidence.logits), title="Right")
    monkeypatch.setitem(FORMATS, "tflite", Format(lambda _: (wrong, right), forms.WITH_CLIENT))
    wishes = Wishes({}, POINT, random_audio(4, 8000))
    with pytest.raises(Refused) as refused:
        build("tflite", wishes, trained, clips, ORIGIN, tmp_path / "artifact.zip", lambda *_: None)
    report = refused.value.report
    assert [stage.status for stage in report.stages] == ["holds", "differs", "holds"]
    assert report.verdict == "TFLite does not compute what was trained."
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("error", "made"), [(0.01, "Better"), (0, "TFLite")])
def test_a_form_that_differs_makes_room_for_what_may_be_better(
    tmp_path: Path,
    trained: TrainedNetwork,
    clips: Clips,
    evidence: Evidence,
    monkeypatch: pytest.MonkeyPatch,
    error: float,
    made: str,
) -> None:
    better = replace(giving(evidence.logits), title="Better")
    form = replace(giving(evidence.logits + np.float32(error)), otherwise=better)
    monkeypatch.setitem(FORMATS, "tflite", Format(lambda _: (form,), forms.WITH_CLIENT))
    wishes = Wishes({}, POINT, random_audio(4, 8000))
    built = build("tflite", wishes, trained, clips, ORIGIN, tmp_path / "artifact.zip", lambda *_: None)
    assert [stage.title for stage in built.report.stages] == ["Trained network", made]
    assert built.report.holds


def test_a_report_is_json_that_can_be_read_back(trained: TrainedNetwork, evidence: Evidence) -> None:
    broken = proved(giving(evidence.logits * np.float32("nan")), trained, evidence)
    report = proof_report(trained, evidence, (start(trained, evidence), broken), ORIGIN, "int8")
    text = report.model_dump_json()
    assert ProofReport.model_validate_json(text) == report
    written = json.loads(text, parse_constant=pytest.fail)
    assert written["schema_version"] == 1
    assert written["stages"][1]["score_difference"] is None
    assert {row["board"].split(",")[0] for row in written["estimates"]} >= {"nRF52840", "STM32L4R5", "RP2040"}


def test_at_most_500_clips_are_taken_evenly(tmp_path: Path, trained: TrainedNetwork) -> None:
    clips = random_clips(tmp_path, count=1200)
    evidence = Evidence.gather(trained, clips)
    assert len(evidence.audio) == 500
    assert evidence.available == 1200
    assert np.array_equal(evidence.audio[-1], clips.around(1199, 0, trained.clip_samples))
    assert len(evidence.sample(10).audio) == 10


def test_a_few_clips_of_every_label_are_taken(evidence: Evidence) -> None:
    rare = replace(evidence, truth=np.array([0] * 25 + [3, 1, 3, 3, 2]))
    assert rare.of_every_label(6).truth.tolist() == [0, 0, 3, 1, 3, 2]
    assert rare.of_every_label(4).truth.tolist() == [0, 3, 1, 2]


@pytest.mark.parametrize(
    ("target", "title", "missing"),
    [
        ("wasm", "WebAssembly, int8, in Node", wasm.why_not()),
        ("cortex-m4f", "Cortex-M4F, int8, emulated", why_not_emulated()),
        ("windows", "Windows x86-64, int8", why_not_here("windows")),
    ],
)
def test_what_was_compiled_is_run_too(
    tmp_path: Path, trained: TrainedNetwork, clips: Clips, target: str, title: str, missing: str | None
) -> None:
    point = OperatingPoint(threshold=0.5, smoothing_ms=0)
    wishes = Wishes({"precision": "int8", "target": target}, point, random_audio(10, 8000))
    built = build("c", wishes, trained, clips, ORIGIN, tmp_path / "artifact.zip", lambda *_: None)
    stages = built.report.stages
    assert [stage.title for stage in stages] == ["Trained network", "C library, int8", title, "Python runner"]
    if missing:
        assert (stages[2].status, stages[2].reason) == ("skipped", missing)
    else:
        assert stages[2].status == "holds"
        assert stages[2].feature_difference == stages[1].feature_difference
        assert (stages[2].resources is not None) == (target == "cortex-m4f")
