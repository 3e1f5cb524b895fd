"""From files to clips: which word, who spoke it, which split, and where its samples lie in the pack.

Layouts (each with or without folders above it):

    <word>/<speaker>_nohash_<n>.wav, _background_noise_/…      Speech Commands (Warden 2018)
    train|validation|test…/<word>/…, background_noise/…        `nengo-edge package-dataset kws`
    <word>/<any name>.wav                                       plain folders

Where `testing_list.txt` and `validation_list.txt` are there, they alone decide the split; else the folders do; else the
published rule of Speech Commands, a hash of the part of the name before `_nohash_`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from workers.engine.archives import Refused, members
from workers.engine.audio import SUFFIXES, PackWriter, Recording, UnusableAudio, decode
from workers.engine.errors import EngineError

NOISE_FOLDERS = ("_background_noise_", "background_noise")
LISTS = {"testing_list.txt": "test", "validation_list.txt": "validation"}
SPLIT_FOLDERS = ("train", "validation", "test")
MOST_NAMED = 2**27 - 1
SPEAKER = re.compile(r"_nohash_.*$")


@dataclass
class IngestedClip:
    """One usable recording."""

    name: str
    label: str
    speaker: str
    noise: bool
    offset: int
    length: int
    sample_rate: int
    peak_dbfs: float
    rms_dbfs: float
    split: str = "train"


@dataclass(frozen=True)
class Problem:
    """One file that could not be used."""

    name: str
    code: str
    reason: str
    remedy: str


@dataclass
class Ingested:
    """What came of a source."""

    clips: list[IngestedClip] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    pack: Path = field(default_factory=Path)
    sha256: str = ""


@dataclass(frozen=True)
class Placement:
    """What the path of a file says about it."""

    label: str
    noise: bool
    split: str


def ingest(source: Path, folder: Path, report: Callable[[int], None], stop: Callable[[], None]) -> Ingested:
    """Read an archive or folder into a pack in `folder`.

    Args:
        source: archive or folder.
        folder: where the pack is written.
        report: is told how many files have been read.
        stop: is called between files and raises where the work shall end.

    Raises:
        EngineError: the source cannot be read, or there is no word in it.
    """
    found, lists = Ingested(), dict[str, str]()
    placed: dict[str, Placement] = {}
    with PackWriter(folder) as pack:
        for count, (name, content) in enumerate(_files(source, found, lists)):
            stop()
            placement = place(name)
            if placement is None:
                found.problems.append(_nowhere(name))
            elif name in placed:
                found.problems.append(
                    Problem(name, "same-name", "The archive holds this name twice.", "Keep one of them.")
                )
            else:
                placed[name] = placement
                _take(found, pack, name, placement, content)
            report(count + 1)
        _require_words(found)
    found.pack, found.sha256 = pack.path, pack.sha256
    for clip in found.clips:
        clip.split = _split(clip, placed[clip.name], lists)
    return found


def _files(source: Path, found: Ingested, lists: dict[str, str]) -> Iterator[tuple[str, bytes]]:
    """Give the audio files; note what was refused, and read the lists on the way."""
    for member in members(source):
        if isinstance(member, Refused):
            found.problems.append(Problem(member.name, member.code, member.reason, member.remedy))
            continue
        path = PurePosixPath(member.name)
        if path.name in LISTS:
            lines = member.read().decode("utf-8", errors="replace").split()
            lists.update(dict.fromkeys(lines, LISTS[path.name]))
        elif path.suffix.lower() in SUFFIXES and not path.name.startswith("."):
            yield member.name, member.read()


def place(name: str) -> Placement | None:
    """Read label and split off a file's path; None where it lies in no word's folder."""
    folders = PurePosixPath(name).parts[:-1]
    for index, folder in enumerate(folders):
        if folder in NOISE_FOLDERS:
            return Placement("_background_noise_", True, "")
        split = next((split for split in SPLIT_FOLDERS if folder.startswith(split)), "")
        if split and index + 1 < len(folders) and not folders[index + 1].startswith("_"):
            return Placement(folders[index + 1], False, split)
    if not folders or folders[-1].startswith(("_", ".")):
        return None
    return Placement(folders[-1], False, "")


def published_split(name: str, validation: float = 10, test: float = 10) -> str:
    """Split of a clip by Speech Commands' published rule, which never changes as clips are added.

    SHA-1 of the file's name up to `_nohash_`, so that all clips of one speaker and word stay together.
    """
    key = SPEAKER.sub("", PurePosixPath(name).name)
    share = (int(hashlib.sha1(key.encode(), usedforsecurity=False).hexdigest(), 16) % (MOST_NAMED + 1)) * (
        100 / MOST_NAMED
    )
    if share < validation:
        return "validation"
    return "test" if share < validation + test else "train"


def _take(found: Ingested, pack: PackWriter, name: str, placement: Placement, content: bytes) -> None:
    try:
        recording = decode(content)
    except UnusableAudio as error:
        found.problems.append(Problem(name, error.code, error.reason, error.remedy))
        return
    speaker = "" if placement.noise else speaker_of(name)
    found.clips.append(add(pack, recording, name=name, label=placement.label, speaker=speaker, noise=placement.noise))


def add(pack: PackWriter, recording: Recording, *, name: str, label: str, speaker: str, noise: bool) -> IngestedClip:
    """Append a recording to a pack."""
    return IngestedClip(
        name=name,
        label=label,
        speaker=speaker,
        noise=noise,
        offset=pack.append(recording.samples),
        length=len(recording.samples),
        sample_rate=recording.sample_rate,
        peak_dbfs=recording.peak_dbfs,
        rms_dbfs=recording.rms_dbfs,
    )


def speaker_of(name: str) -> str:
    """Read the speaker off a file's name; empty where it does not tell."""
    stem = PurePosixPath(name).stem
    return SPEAKER.sub("", stem) if "_nohash_" in stem else ""


def _split(clip: IngestedClip, placement: Placement, lists: dict[str, str]) -> str:
    if clip.noise:
        return "train"
    if lists:
        return lists.get("/".join(PurePosixPath(clip.name).parts[-2:]), "train")
    return placement.split or published_split(clip.name)


def _require_words(found: Ingested) -> None:
    if any(not clip.noise for clip in found.clips):
        return
    if found.problems:
        first = found.problems[0]
        raise EngineError(
            "no-usable-clips",
            f"None of the recordings could be used: {len(found.problems):,} problems, the first in {first.name}: "
            f"{first.reason}",
            first.remedy,
        )
    raise EngineError(
        "no-words",
        "There are no recorded words in this data.",
        "Put the recordings of each word (wav, flac, mp3 or ogg) into a folder with the word as its name.",
    )


def _nowhere(name: str) -> Problem:
    return Problem(
        name, "no-label", "The file lies in no word's folder.", "Put it into a folder with the word as its name."
    )
