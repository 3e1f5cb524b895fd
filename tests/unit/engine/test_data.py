"""Tables of clips: where clips begin, what lies around them, and how silence is cut."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.engine.tones import RATE, tones, write_pack
from workers.engine.data import (
    Clips,
    TrainingData,
    cut_silence,
    generated_noise,
    join,
    require_clips,
    starts,
    stretches,
)
from workers.engine.errors import EngineError

SPLITS = ("train", "validation", "test")


def word_at(begin: int, length: int = 3000, word: int = 400) -> np.ndarray:
    audio = np.zeros(length)
    audio[begin : begin + word] = 10_000 * np.sin(np.arange(word))
    return audio


@pytest.mark.parametrize("begin", [600, 900, 1800, 2000])
def test_a_long_clip_is_cut_where_its_word_is_in_the_middle(tmp_path: Path, begin: int) -> None:
    clips = write_pack(tmp_path / "a.pcm", [word_at(begin)])
    start = int(starts(clips, 1000)[0])
    assert abs(start + 500 - (begin + 200)) <= 10


@pytest.mark.parametrize("begin", [0, 300, 2300, 2600])
def test_a_word_at_the_edge_is_not_cut(tmp_path: Path, begin: int) -> None:
    clips = write_pack(tmp_path / "a.pcm", [word_at(begin)])
    start = int(starts(clips, 1000)[0])
    assert 0 <= start <= begin
    assert begin + 400 <= start + 1000 <= 3000


@given(length=st.integers(1, 500), samples=st.integers(1, 400), seed=st.integers(0, 100))
def test_windows_lie_within_their_clips(
    length: int, samples: int, seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    audio = np.random.default_rng(seed).integers(-100, 100, length)
    start = int(starts(write_pack(tmp_path_factory.mktemp("clips") / "a.pcm", [audio]), samples)[0])
    if length >= samples:
        assert 0 <= start <= length - samples
    else:
        assert start == (length - samples) // 2  # in the middle


def test_around_a_clip_there_are_zeros(tmp_path: Path) -> None:
    clips = write_pack(tmp_path / "a.pcm", [np.full(3, 999), np.array([-32768, 0, 16384, 8]), np.full(3, 999)])
    assert clips.around(1, 0, 4).tolist() == [-1, 0, 0.5, 8 / 32768]
    assert clips.around(1, -2, 4).tolist() == [0, 0, -1, 0]
    assert clips.around(1, 2, 4).tolist() == [0.5, 8 / 32768, 0, 0]
    assert clips.around(1, -1, 6).tolist() == [0, -1, 0, 0.5, 8 / 32768, 0]
    assert clips.around(1, 9, 2).tolist() == clips.around(1, -9, 2).tolist() == [0, 0]
    assert clips.around(1, 1, 2).dtype == np.float32


def test_joined_and_selected_rows_keep_packs_labels_and_origins(tmp_path: Path) -> None:
    first = write_pack(tmp_path / "a.pcm", [np.full(2, 1), np.full(3, 2)], [5, 6])
    second = write_pack(tmp_path / "b.pcm", [np.full(4, 3)], [7])
    both = join(first, second).select([2, 1])
    assert [both.samples(row).tolist() for row in range(2)] == [[3, 3, 3, 3], [2, 2, 2]]
    assert both.label.tolist() == [7, 6]
    assert both.origin.tolist() == [0, 1]


def covered(clips: Clips) -> set[int]:
    return {at for begin, length in zip(clips.offset, clips.length, strict=True) for at in range(begin, begin + length)}


@given(
    lengths=st.lists(st.integers(10, 400), min_size=1, max_size=4), samples=st.integers(1, 100), seed=st.integers(0, 9)
)
def test_what_judges_silence_was_not_heard_in_training(lengths: list[int], samples: int, seed: int) -> None:
    offsets = np.cumsum([0, *lengths[:-1]])
    noise = Clips.of((Path("noise.pcm"),), [(0, at, length, 0) for at, length in zip(offsets, lengths, strict=True)])
    counts = {"train": 30, "validation": 7, "test": 0}
    cut = cut_silence(noise, counts, 3, samples, seed)
    assert {split: len(clips) for split, clips in cut.items()} == counts
    assert not covered(cut["train"]) & covered(cut["validation"])
    for split, clips in cut.items():
        stretch = stretches(noise, split)
        assert (clips.label == 3).all()
        assert (clips.length <= samples).all()
        assert (clips.offset >= stretch.offset[clips.origin]).all()
        assert (clips.offset + clips.length <= (stretch.offset + stretch.length)[clips.origin]).all()
        if stretch.length.max() >= samples:
            assert (clips.length == samples).all()
    again = cut_silence(noise, counts, 3, samples, seed)
    assert all((again[split].offset == cut[split].offset).all() for split in counts)


def test_generated_noise_has_all_levels_in_every_stretch(tmp_path: Path) -> None:
    noise = generated_noise(tmp_path, RATE)
    assert len(noise) == 3
    for split in SPLITS:
        stretch = stretches(noise, split)
        for row in range(3):
            blocks = stretch.samples(row).astype(float)[: int(stretch.length[row]) // 2000 * 2000].reshape(-1, 2000)
            levels = 20 * np.log10(blocks.std(axis=1) / 32768)
            assert levels.min() < -52
            assert levels.max() > -28


def test_generated_noise_is_made_once_and_is_always_the_same(tmp_path: Path) -> None:
    (first,) = generated_noise(tmp_path / "a", RATE).packs
    written = first.stat().st_mtime_ns
    assert generated_noise(tmp_path / "a", RATE).packs == (first,)
    assert first.stat().st_mtime_ns == written
    (second,) = generated_noise(tmp_path / "b", RATE).packs
    assert first.read_bytes() == second.read_bytes()


def without(data: TrainingData, split: str, label: int | None = None) -> TrainingData:
    clips = data.split(split)
    kept = clips.select(np.flatnonzero(clips.label != label) if label is not None else np.arange(0))
    splits = {name: kept if name == split else data.split(name) for name in SPLITS}
    return TrainingData(data.labels, data.sample_rate, data.clip_samples, **splits, noise=data.noise)


def test_missing_clips_are_named(tmp_path: Path) -> None:
    data = tones(tmp_path)
    require_clips(data)
    with pytest.raises(EngineError, match="no training clips of middle"):
        require_clips(without(data, "train", label=2))
    for split in ("validation", "test"):
        with pytest.raises(EngineError, match=f"no {split} clips"):
            require_clips(without(data, split))


READ_LARGE_PACK = """
import resource, sys
from pathlib import Path
from workers.engine.data import Clips
resource.setrlimit(resource.RLIMIT_AS, (2**32, 2**32))
clips = Clips.of((Path(sys.argv[1]),), [(0, 0, 16000, 0), (0, 2**32 - 16000, 16000, 0)])
assert [len(clips.samples(row)) for row in range(2)] == [16000, 16000]
assert clips.samples(1)[-1] == 7
"""


def test_a_pack_may_be_larger_than_memory(tmp_path: Path) -> None:
    pack = tmp_path / "large.pcm"
    with pack.open("wb") as file:
        file.seek(2**33 - 2)  # most of it is a hole, which takes no room
        file.write(b"\x07\x00")
    subprocess.run([sys.executable, "-c", READ_LARGE_PACK, str(pack)], check=True)
