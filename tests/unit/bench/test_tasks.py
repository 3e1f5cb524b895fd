"""Tasks judge fairly: labels are right, and nobody who is tested was heard before."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgewise.spec.dataset import SPLITS, DatasetParameters
from workers.bench import tasks
from workers.bench.tasks import Corpus, Word
from workers.engine.data import Clips, TrainingData
from workers.engine.errors import EngineError
from workers.engine.ingest import IngestedClip

VOICES = ("anna", "ben", "cleo")
OTHERS = 4
LENGTH = 8000
NOISE = 160_000


def corpus(folder: Path) -> Corpus:
    """Two takes of two digits by three voices, and other words; the samples of each clip are its row."""
    spoken = [(label, voice, take) for voice in VOICES for label in ("zero", "one") for take in range(2)]
    words = [Word(f"{label}/{voice}_nohash_{take}.wav", label, voice, SPLITS[take]) for label, voice, take in spoken]
    words += [Word(f"bird/{split}_nohash_{n}.wav", "bird", split, split) for split in SPLITS for n in range(OTHERS)]
    samples = [np.full(LENGTH, row) for row in range(len(words))] + [np.full(NOISE, -1)]
    pack = folder / "corpus.pcm"
    pack.write_bytes(np.concatenate(samples).astype("<i2").tobytes())
    rows = [(0, row * LENGTH, LENGTH, 0) for row in range(len(words))]
    return Corpus(tuple(words), Clips.of((pack,), rows), Clips.of((pack,), [(0, len(words) * LENGTH, NOISE, 0)]))


def heard(data: TrainingData, split: str, words: Corpus) -> list[tuple[str, Word]]:
    """List the label and the word of each clip that is no silence."""
    clips = data.split(split)
    rows = [int(clips.samples(row)[0]) for row in range(len(clips))]
    return [(data.labels[clips.label[i]], words.words[row]) for i, row in enumerate(rows) if row >= 0]


def test_clips_have_their_label_in_their_split(tmp_path: Path) -> None:
    words = corpus(tmp_path)
    recipe = DatasetParameters(keywords=["zero", "one"], silence_percentage=100, unknown_percentage=100)
    data = tasks.training_data(words, recipe)
    for split, count in {"train": 3, "validation": 3, "test": 0}.items():
        found = heard(data, split, words)
        assert all(word.split == split for _, word in found)
        assert all(label == (word.label if word.label != "bird" else "<unknown>") for label, word in found)
        assert np.bincount(data.split(split).label, minlength=4).tolist() == [count] * 4
    again = tasks.training_data(words, recipe)
    assert all(heard(again, split, words) == heard(data, split, words) for split in SPLITS)


def test_each_speaker_is_left_out_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = corpus(tmp_path)
    empty = Corpus((), words.clips.select(np.arange(0)), words.noise.select(np.arange(0)))
    monkeypatch.setattr(tasks, "read", lambda archive, folder: words if archive.name == tasks.RECORDINGS else empty)
    monkeypatch.setattr(tasks, "DIGITS", ("zero", "one"))
    parts = tasks.load_task("speakers", tmp_path, tmp_path)
    assert tuple(parts) == VOICES
    for voice, data in parts.items():
        speakers = {
            split: {word.speaker for label, word in heard(data, split, words) if label != "<unknown>"}
            for split in SPLITS
        }
        assert speakers["test"] == {voice}
        assert speakers["train"] == speakers["validation"] == set(VOICES) - {voice}
        assert len([word for label, word in heard(data, "test", words) if label != "<unknown>"]) == 4


def test_half_of_the_synthetic_voices_is_only_tested(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "SYNTHETIC_DIRECTIONS", 40)
    spoken = tasks.speak(tasks.DIRECTIONS, tasks.SYNTHETIC_DIRECTIONS, tmp_path)
    monkeypatch.setattr(tasks, "speak", lambda *arguments: spoken)
    data = tasks.load_task("voices", tmp_path, tmp_path)["voices"]
    names = {(int(offset), int(length)): word for offset, length, word in zip(
        spoken.clips.offset, spoken.clips.length, spoken.words, strict=True)}  # fmt: skip
    variants = {}
    for split in SPLITS:
        clips = data.split(split)
        found = [names.get(place) for place in zip(clips.offset.tolist(), clips.length.tolist(), strict=True)]
        variants[split] = {word.speaker.rpartition("+")[2] for word in found if word}
        labels = {(data.labels[label], word.label) for label, word in zip(clips.label, found, strict=True) if word}
        assert {word for label, word in labels if label == word} == set(tasks.DIRECTIONS)
    assert variants["test"].isdisjoint(variants["train"] | variants["validation"])
    assert variants["train"].isdisjoint(variants["validation"])


def test_speakers_have_one_name_in_both_archives() -> None:
    words = [tasks._word(clip(name)) for name in ("test/zero/0_anna_14.wav", "train/one/1_anna_3.wav")]
    assert {word.speaker for word in words} == {"2bc1ecb4"}
    assert tasks._word(clip("zero/recording.wav", speaker="6f1a")).speaker == "6f1a"


def clip(name: str, speaker: str = "") -> IngestedClip:
    return IngestedClip(name, "zero", speaker, False, 0, 100, 16000, -1, -10)


def test_missing_recordings_are_told_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="Set EDGEWISE_TEST_AUDIO"):
        tasks.load_task("wake", tmp_path, tmp_path)
