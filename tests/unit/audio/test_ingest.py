"""Layouts: which word, who spoke it, which split."""

from __future__ import annotations

import hashlib
import re
import tarfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tests.unit.audio.recordings import encoded, folder, ingested, noise, plain_wav, tar, wav, zipped
from workers.engine.errors import EngineError
from workers.engine.ingest import Ingested, ingest, published_split

WORDS = ("up", "down")
SPEAKERS = tuple(f"{number:08x}" for number in range(40))
SPEECH_COMMANDS = {f"{word}/{who}_nohash_0.wav": wav(n) for word in WORDS for n, who in enumerate(SPEAKERS)}
NOISES = {"_background_noise_/tap.wav": wav(99, 16000), "_background_noise_/README.md": b"From a kitchen."}


def splits(found: Ingested) -> dict[str, str]:
    return {clip.name: clip.split for clip in found.clips if not clip.noise}


def codes(found: Ingested) -> list[str]:
    return [problem.code for problem in found.problems]


def refused(source: Path, packs: Path) -> EngineError:
    with pytest.raises(EngineError) as caught:
        ingested(source, packs)
    assert list(packs.glob("*")) == []
    return caught.value


def which_set(name: str) -> str:
    """Speech Commands' rule as its README words it, for 10 % and 10 %."""
    speaker = re.sub(r"_nohash_.*$", "", name.rsplit("/", 1)[-1])
    share = (int(hashlib.sha1(speaker.encode()).hexdigest(), 16) % 2**27) * (100.0 / (2**27 - 1))
    return "validation" if share < 10 else "test" if share < 20 else "train"


def test_speech_commands(tmp_path: Path) -> None:
    files = {**SPEECH_COMMANDS, **NOISES, "LICENSE": b"CC BY 4.0"}
    found = ingested(tar(tmp_path / "words.tar.gz", files), tmp_path / "packs")
    assert found.problems == []
    assert Counter(clip.label for clip in found.clips) == {"up": 40, "down": 40, "_background_noise_": 1}
    assert {clip.speaker for clip in found.clips if not clip.noise} == set(SPEAKERS)
    assert splits(found) == {name: which_set(name) for name in SPEECH_COMMANDS}
    noises = [clip for clip in found.clips if clip.noise]
    assert [(clip.name, clip.speaker) for clip in noises] == [("_background_noise_/tap.wav", "")]


def test_clips_lie_where_their_rows_say(tmp_path: Path) -> None:
    found = ingested(tar(tmp_path / "words.tar", SPEECH_COMMANDS), tmp_path / "packs")
    assert found.pack == tmp_path / "packs" / f"{found.sha256}.pcm"
    pack = np.fromfile(found.pack, "<i2")
    for number, clip in enumerate(found.clips[: len(SPEAKERS)]):
        assert np.array_equal(pack[clip.offset : clip.offset + clip.length], noise(800, number))


@pytest.mark.parametrize("top", ["", "./", "speech_commands/", "some/where/"])
def test_folders_above_change_nothing(tmp_path: Path, top: str) -> None:
    files = {top + name: content for name, content in SPEECH_COMMANDS.items()}
    found = ingested(tar(tmp_path / "words.tar", files), tmp_path / "packs")
    assert {clip.label for clip in found.clips} == set(WORDS)
    assert Counter(splits(found).values()) == Counter(which_set(name) for name in SPEECH_COMMANDS)


def test_archive_and_folder_give_the_same(tmp_path: Path) -> None:
    files = {**SPEECH_COMMANDS, **NOISES}
    packed = ingested(zipped(tmp_path / "words.zip", dict(sorted(files.items()))), tmp_path / "packs")
    assert ingested(folder(tmp_path / "words", files), tmp_path / "packs") == packed


@pytest.mark.parametrize("lists_come_last", [True, False])
def test_lists_alone_decide(tmp_path: Path, lists_come_last: bool) -> None:
    names = list(SPEECH_COMMANDS)
    lists = {
        "testing_list.txt": "\n".join(names[:5]).encode() + b"\n",
        "validation_list.txt": "\r\n".join(names[5:8]).encode(),
    }
    files = {**SPEECH_COMMANDS, **lists} if lists_come_last else {**lists, **SPEECH_COMMANDS}
    found = splits(ingested(tar(tmp_path / "words.tar", files), tmp_path / "packs"))
    assert [found[name] for name in names[:8]] == ["test"] * 5 + ["validation"] * 3
    assert {found[name] for name in names[8:]} == {"train"}


def test_one_list_alone_decides_too(tmp_path: Path) -> None:
    files = {**SPEECH_COMMANDS, "testing_list.txt": next(iter(SPEECH_COMMANDS)).encode()}
    found = splits(ingested(tar(tmp_path / "words.tar", files), tmp_path / "packs"))
    assert Counter(found.values()) == {"test": 1, "train": 79}


@pytest.mark.parametrize("top", ["", "my_dataset/"])
def test_packages_of_nengo_edge(tmp_path: Path, top: str) -> None:
    folders = [f"{split}/{word}" for split in ("training", "validation", "test_v2") for word in WORDS]
    names = [*(f"{folder}/f0.wav" for folder in folders), "train/up/deep/f2.wav", "background_noise/n0.wav"]
    files = {top + name: wav() for name in names}
    found = ingested(tar(tmp_path / "kws.tar.gz", files), tmp_path / "packs")
    expected = {"training": "train", "validation": "validation", "test_v2": "test", "train": "train"}
    assert splits(found) == {
        name: expected[name.removeprefix(top).split("/")[0]] for name in files if "noise" not in name
    }
    assert {clip.label for clip in found.clips} == {*WORDS, "_background_noise_"}


def test_what_lies_beside_the_splits_is_not_used(tmp_path: Path) -> None:
    files = {f"{split}/up/a.wav": wav() for split in ("train", "validation", "test")}
    found = ingested(tar(tmp_path / "kws.tar", {**files, "extra/up/b.wav": wav()}), tmp_path / "packs")
    assert [(problem.name, problem.code) for problem in found.problems] == [("extra/up/b.wav", "no-split")]
    assert len(found.clips) == 3


def test_a_single_folder_called_test_is_no_split(tmp_path: Path) -> None:
    files = {f"test recordings/{name}": content for name, content in SPEECH_COMMANDS.items()}
    found = splits(ingested(tar(tmp_path / "words.tar", files), tmp_path / "packs"))
    assert set(found.values()) == {"train", "validation", "test"}


def test_a_word_may_be_called_train(tmp_path: Path) -> None:
    found = ingested(tar(tmp_path / "words.tar", {"train/a.wav": wav(), "bus/a.wav": wav()}), tmp_path / "packs")
    assert sorted(clip.label for clip in found.clips) == ["bus", "train"]


def test_plain_folders_are_split_by_the_rule(tmp_path: Path) -> None:
    files = {f"yes/{number}.wav": wav(number) for number in range(60)}
    found = ingested(tar(tmp_path / "words.tar", files), tmp_path / "packs")
    assert splits(found) == {name: which_set(name) for name in files}
    assert {clip.speaker for clip in found.clips} == {""}


def test_speakers_that_names_tell_stay_in_one_split(tmp_path: Path) -> None:
    people = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
    names = [f"{word}/{n}_{who}_{take}.wav" for n, word in enumerate(WORDS) for who in people for take in range(5)]
    found = ingested(tar(tmp_path / "words.tar", dict.fromkeys(names, wav())), tmp_path / "packs")
    assert {clip.speaker for clip in found.clips} == set(people)
    split_of = {(clip.speaker, clip.split) for clip in found.clips}
    assert len(split_of) == len(people)
    assert {split for _, split in split_of} == {"train", "validation", "test"}


@pytest.mark.parametrize("name", ["{word}/take{take}.wav", "{word}/{who}_mic{take}a.wav", "{word}/{word}_{take}.wav"])
def test_in_doubt_no_speaker_is_told(tmp_path: Path, name: str) -> None:
    names = {name.format(word=word, who=who, take=take): wav() for word in WORDS for who in "abcd" for take in range(4)}
    found = ingested(tar(tmp_path / "words.tar", names), tmp_path / "packs")
    assert {clip.speaker for clip in found.clips} == {""}


def test_bad_files_are_named_and_the_rest_is_kept(tmp_path: Path) -> None:
    files = {
        "up/good.wav": wav(), "up/GOOD.WAV": wav(), "up/.hidden.wav": b"", "up/notes.txt": b"",
        "up/empty.wav": b"", "up/cut.wav": wav()[:-100], "up/phone.wma": b"wma",
        "loose.wav": wav(), "_unknown_/a.wav": wav(), f"{'long' * 30}/a.wav": wav(),
    }  # fmt: skip
    found = ingested(tar(tmp_path / "words.tar", files), tmp_path / "packs")
    assert [clip.name for clip in found.clips] == ["up/good.wav", "up/GOOD.WAV"]
    assert codes(found) == ["empty-file", "truncated", "unsupported", "no-label", "no-label", "long-name"]
    assert all(problem.reason and problem.remedy for problem in found.problems)


def test_a_name_that_comes_twice_is_taken_once(tmp_path: Path) -> None:
    found = ingested(tar(tmp_path / "words.tar", {"up/a.wav": wav(), "./up/a.wav": wav(1)}), tmp_path / "packs")
    assert len(found.clips) == 1
    assert codes(found) == ["same-name"]


def test_different_rates_are_kept(tmp_path: Path) -> None:
    files = {"up/a.wav": plain_wav(noise(), 8000), "up/b.flac": encoded(noise(), 44100, "FLAC")}
    found = ingested(tar(tmp_path / "words.tar", files), tmp_path / "packs")
    assert [clip.sample_rate for clip in found.clips] == [8000, 44100]


def test_nothing_but_damage_says_so(tmp_path: Path) -> None:
    error = refused(tar(tmp_path / "words.tar", {"up/a.wav": b"", "up/b.wav": b"x"}), tmp_path / "packs")
    assert error.code == "no-usable-clips"
    assert "2 problems" in error.reason
    assert "up/a.wav" in error.reason


@pytest.mark.parametrize("files", [{}, {"README.md": b"words follow"}, {"_background_noise_/tap.wav": wav()}])
def test_no_words_is_one_clear_error(tmp_path: Path, files: dict[str, bytes]) -> None:
    error = refused(tar(tmp_path / "words.tar", files), tmp_path / "packs")
    assert error.code == "no-words"
    assert "folder with the word as its name" in error.remedy


def test_a_cut_archive_keeps_what_was_good(tmp_path: Path) -> None:
    path = tar(tmp_path / "words.tar.gz", {name: wav(n, 8000) for n, name in enumerate(SPEECH_COMMANDS)})
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    found = ingested(path, tmp_path / "packs")
    assert 30 < len(found.clips) < 50
    assert codes(found)[-1] == "damaged-archive"


def test_it_reports_and_stops(tmp_path: Path) -> None:
    source, reported = tar(tmp_path / "words.tar", SPEECH_COMMANDS), []

    def stop() -> None:
        if len(reported) == 7:
            raise KeyboardInterrupt

    def report(files: int, share: float) -> None:
        reported.append((files, share))

    with pytest.raises(KeyboardInterrupt):
        ingest(source, tmp_path / "packs", report, stop)
    assert [files for files, _ in reported] == list(range(1, 8))
    assert list((tmp_path / "packs").iterdir()) == []


def test_the_published_rule_keeps_speakers_together() -> None:
    assert len({published_split(f"{word}/0a7c2a8d_nohash_{n}.wav") for word in WORDS for n in range(9)}) == 1


# --- real recordings, or made ones where they are not at hand ---------------------------------------------------------


@pytest.fixture
def digits(shared_audio: Path, tmp_path: Path) -> Path:
    """Ten words in train, validation and test folders, 8 kHz."""
    real = shared_audio / "digits_8khz.tar.gz"
    if real.exists():
        return real
    counts = {"train": 66, "validation": 12, "test": 18}
    names = [f"{split}/{word}/{n}.wav" for split in counts for word in range(10) for n in range(counts[split])]
    return tar(tmp_path / "digits.tar.gz", dict.fromkeys(names, plain_wav(noise(800), 8000)))


@pytest.fixture
def broken(shared_audio: Path, tmp_path: Path) -> Path:
    """Fourteen damaged flac files."""
    real = shared_audio / "broken_flac.tar.gz"
    if real.exists():
        return real
    cut = encoded(noise(16000), form="FLAC")[:9000]
    return tar(tmp_path / "broken.tar.gz", {f"alexa/{n}.flac": cut for n in range(14)})


def test_recorded_digits(digits: Path, tmp_path: Path) -> None:
    found = ingested(digits, tmp_path / "packs")
    assert found.problems == []
    assert Counter(splits(found).values()) == {"train": 660, "validation": 120, "test": 180}
    assert {clip.sample_rate for clip in found.clips} == {8000}


def test_damaged_recordings(broken: Path, tmp_path: Path) -> None:
    error = refused(broken, tmp_path / "packs")
    assert error.code == "no-usable-clips"
    assert "14 problems" in error.reason


def test_damaged_recordings_among_good_ones(broken: Path, tmp_path: Path) -> None:
    with tarfile.open(broken) as archive:
        files = {info.name: archive.extractfile(info).read() for info in archive if info.isfile()}  # type: ignore[union-attr]
    found = ingested(tar(tmp_path / "words.tar", {**SPEECH_COMMANDS, **files}), tmp_path / "packs")
    assert len(found.clips) == len(SPEECH_COMMANDS)
    assert {problem.name for problem in found.problems} == set(files)
