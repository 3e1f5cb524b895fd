"""The check of recorded words: copies whatever was done to them, leaks, levels, lengths, doubtful labels."""

from __future__ import annotations

import functools
import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewise.spec.quality import FindingCode
from edgewise.spec.synthesis import SynthesisParameters
from workers.engine.audio import Int16Array, PackWriter, Recording, resample
from workers.engine.ingest import IngestedClip, add
from workers.engine.quality.check import Finding, check
from workers.engine.quality.duplicates import ALIKE, correlation
from workers.engine.speech import EspeakSynthesizer, speak_words

RATE = 16000
WORDS = ("yes", "stop", "left", "seven")
TAKES = 30


@functools.cache
def spoken() -> list[tuple[str, str, Int16Array]]:
    """Label, voice and samples of each word by many voices."""
    asked = SynthesisParameters(keywords=list(WORDS), clips_per_word=TAKES, near_misses_per_keyword=0)
    clips = speak_words(asked, EspeakSynthesizer())
    return [(clip.label, clip.speaker, clip.samples) for clip in clips if clip.label in WORDS]


class Data:
    """Raw data in the making."""

    def __init__(self, folder: Path) -> None:
        self._pack = PackWriter(folder)
        self._pack.__enter__()
        self.clips: list[IngestedClip] = []

    def put(
        self, samples: Int16Array, label: str = "yes", split: str = "train", speaker: str = "", rate: int = RATE
    ) -> int:
        """Add a clip and return its number."""
        clip = add(
            self._pack, Recording(samples, rate), name=f"{label}/{len(self.clips)}.wav", label=label, speaker=speaker,
            noise=False,
        )  # fmt: skip
        self.clips.append(replace(clip, split=split))
        return len(self.clips) - 1

    def put_spoken(self) -> None:
        """Add all spoken words, unknown who spoke them."""
        for label, _, samples in spoken():
            self.put(samples, label)

    def check(self) -> list[Finding]:
        """Find what is wrong."""
        self._pack.__exit__(None, None, None)
        return check(self.clips, self._pack.path, lambda done: None, lambda: None)


@pytest.fixture
def data(tmp_path: Path) -> Data:
    return Data(tmp_path)


def found(findings: Sequence[Finding], code: FindingCode) -> set[int]:
    return {finding.clip for finding in findings if finding.code == code}


def samples_of(number: int) -> Int16Array:
    return spoken()[number][2]


# --- copies -----------------------------------------------------------------------------------------------------------

numbers = st.integers(0, len(WORDS) * TAKES - 1)
one_of_a_few = settings(max_examples=25)


@given(numbers, st.floats(-20, 0))
@one_of_a_few
def test_a_copy_is_alike_at_another_level(number: int, decibels: float) -> None:
    one = samples_of(number)
    assert correlation((one, RATE), ((one * 10 ** (decibels / 20)).astype("<i2"), RATE)) > ALIKE


@given(numbers, st.floats(0, 0.5), st.floats(0, 0.5))
@one_of_a_few
def test_a_copy_is_alike_with_silence_around(number: int, before: float, after: float) -> None:
    one = samples_of(number)
    other = np.pad(one, (round(before * RATE), round(after * RATE)))
    assert correlation((one, RATE), (other, RATE)) > ALIKE


@given(numbers, st.sampled_from([8000, 11025, 22050, 44100, 48000]))
@one_of_a_few
def test_a_copy_is_alike_at_another_rate(number: int, rate: int) -> None:
    one = samples_of(number)
    assert correlation((one, RATE), (resample(one, RATE, rate), rate)) > ALIKE


@given(numbers, numbers)
@one_of_a_few
def test_other_recordings_are_not_alike(number: int, other: int) -> None:
    if number != other:
        assert correlation((samples_of(number), RATE), (samples_of(other), RATE)) < ALIKE


def test_silence_is_like_nothing() -> None:
    assert correlation((np.zeros(800, "<i2"), RATE), (samples_of(0), RATE)) == 0


def test_the_same_samples_are_found_in_and_across_splits(data: Data) -> None:
    data.put_spoken()
    within, across = data.put(samples_of(3)), data.put(samples_of(5), split="test")
    findings = data.check()
    assert found(findings, FindingCode.EXACT_DUPLICATE) == {within}
    # The test split has fewer clips to lose, so its copy stays.
    kept = next(one for one in findings if one.code == FindingCode.EXACT_DUPLICATE_ACROSS_SPLITS)
    assert (kept.clip, kept.other) == (5, across)


def test_changed_copies_are_found_and_nothing_else(data: Data) -> None:
    data.put_spoken()
    copies = {
        data.put(np.pad((samples_of(7) * 0.3).astype("<i2"), (900, 0))),
        data.put(resample(samples_of(40), RATE, 8000), "stop", rate=8000),
        data.put(coded(samples_of(70)), "left"),
    }
    findings = data.check()
    assert found(findings, FindingCode.NEAR_DUPLICATE) == copies
    assert {one.other for one in findings if one.code == FindingCode.NEAR_DUPLICATE} == {7, 40, 70}


def coded(samples: Int16Array) -> Int16Array:
    """Return samples as they come out of a lossy coder."""
    content = io.BytesIO()
    soundfile.write(content, samples, RATE, format="OGG", subtype="VORBIS")
    content.seek(0)
    return np.asarray(soundfile.read(content, dtype="int16")[0])


def test_a_recording_under_two_labels_is_a_conflict(data: Data) -> None:
    data.put_spoken()
    copy = data.put(samples_of(3), "stop")
    assert found(data.check(), FindingCode.CONFLICTING_LABELS) == {3, copy}


# --- single clips -----------------------------------------------------------------------------------------------------


def test_levels_and_lengths(data: Data) -> None:
    usual = [data.put(samples, label) for label, _, samples in spoken()[:20]]
    quiet = data.put((samples_of(0) * 0.003).astype("<i2"))
    loud = data.put(np.clip(samples_of(1).astype(int) * 20, -32768, 32767).astype("<i2"))
    short = data.put(samples_of(2)[4000:5000])
    long = data.put(np.concatenate([samples for _, _, samples in spoken()[20:30]]))
    findings = data.check()
    assert found(findings, FindingCode.NEAR_SILENT) == {quiet}
    assert found(findings, FindingCode.CLIPPED) == {loud}
    assert found(findings, FindingCode.TOO_SHORT) == {short}
    assert found(findings, FindingCode.TOO_LONG) == {long}
    assert not {one.clip for one in findings} & set(usual) - {0, 1, 2}


def test_silent_clips_are_no_copies_of_each_other(data: Data) -> None:
    silent = {data.put(np.full(RATE, level, "<i2")) for level in (0, 1, 2)}
    assert {one.code for one in data.check()} == {FindingCode.NEAR_SILENT}
    assert len(silent) == 3


def test_noise_is_passed_over(data: Data) -> None:
    data.put(np.zeros(RATE, "<i2"))
    data.clips[0].noise = True
    assert data.check() == []


# --- speakers and labels ----------------------------------------------------------------------------------------------


def test_clips_outside_their_speakers_split_are_found(data: Data) -> None:
    for label, voice, samples in spoken():
        data.put(samples, label, "test" if voice < "m" else "train", voice)
    assert found(data.check(), FindingCode.SPEAKER_IN_SEVERAL_SPLITS) == set()


def test_a_speaker_in_two_splits_is_found(data: Data) -> None:
    for number, (label, _, samples) in enumerate(spoken()[:12]):
        data.put(samples, label, "test" if number in (4, 9) else "train", "anna")
    assert found(data.check(), FindingCode.SPEAKER_IN_SEVERAL_SPLITS) == {4, 9}


def test_swapped_labels_are_suspected_with_the_right_word(data: Data) -> None:
    data.put_spoken()
    swapped = {number: data.clips[number].label for number in (1, 34, 65, 97)}
    for number, label in swapped.items():
        data.clips[number].label = WORDS[WORDS.index(label) - 1]
    suspected = {one.clip: one.suggestion for one in data.check() if one.code == FindingCode.WRONG_LABEL}
    assert swapped.items() <= suspected.items()
    assert len(suspected) <= 2 * len(swapped)


def test_few_clips_teach_too_little_to_doubt_a_label(data: Data) -> None:
    for label in WORDS:
        for samples in [samples for said, _, samples in spoken() if said == label][:10]:
            data.put(samples, label)
    data.clips[0].label = "stop"
    assert found(data.check(), FindingCode.WRONG_LABEL) == set()


def test_it_finds_the_same_again(tmp_path: Path) -> None:
    answers = []
    for run in ("first", "second"):
        data = Data(tmp_path / run)
        data.put_spoken()
        data.clips[1].label = "left"
        answers.append(data.check())
    assert answers[0] == answers[1]


def test_it_can_be_stopped(data: Data) -> None:
    data.put_spoken()
    data._pack.__exit__(None, None, None)

    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check(data.clips, data._pack.path, lambda done: None, stop)
