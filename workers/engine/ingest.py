"""From files to clips: which word, who spoke it, which split, and where its samples lie in the pack.

Layouts (each with or without folders above it):

    <word>/<speaker>_nohash_<n>.wav, _background_noise_/…      Speech Commands (Warden 2018)
    train|validation|test…/<word>/…, background_noise/…        `nengo-edge package-dataset kws`
    <word>/<any name>.wav                                       plain folders

Where `testing_list.txt` or `validation_list.txt` is there, the lists alone decide the split; else the folders do; else
the published rule of Speech Commands, a hash of the part of the name before `_nohash_`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from workers.engine.archives import Refused, UnreadableMember, members
from workers.engine.audio import SUFFIXES, PackWriter, Recording, UnusableAudio, decode
from workers.engine.errors import EngineError

NOISE_FOLDERS = ("_background_noise_", "background_noise")
LISTS = {"testing_list.txt": "test", "validation_list.txt": "validation"}
SPLIT_FOLDERS = ("train", "validation", "test")
OTHER_AUDIO = (".m4a", ".mp4", ".aac", ".wma", ".opus", ".aif", ".aiff", ".amr", ".webm", ".caf", ".3gp")
"""Recordings that are told of, where other files are passed over in silence."""
LONGEST_NAME, LONGEST_LABEL = 500, 100
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


def ingest(source: Path, folder: Path, report: Callable[[int, float], None], stop: Callable[[], None]) -> Ingested:
    """Read an archive or folder into a pack in `folder`.

    Args:
        source: archive or folder.
        folder: where the pack is written.
        report: is told how many recordings have been read, and which share of the source.
        stop: is called between files and raises where the work shall end.

    Raises:
        EngineError: the source cannot be read, or there is no word in it.
    """
    found, lists = Ingested(), dict[str, str]()
    places: dict[str, Placement] = {}
    with PackWriter(folder) as pack:
        for count, (name, content, share) in enumerate(_files(source, found, lists)):
            stop()
            if name in places:
                found.problems.append(
                    Problem(name, "same-name", "The archive holds this name twice.", "Keep one of them.")
                )
            elif placement := _placed(name, found):
                places[name] = placement
                _take(found, pack, name, placement, content)
            report(count + 1, share)
        _require_words(found)
    found.pack, found.sha256 = pack.path, pack.sha256
    # Only now: the lists may come last, and one file does not tell which layout it is.
    _divide(found, places, lists)
    return found


def _files(source: Path, found: Ingested, lists: dict[str, str]) -> Iterator[tuple[str, bytes, float]]:
    """Give the audio files; note what was refused, and read the lists on the way."""
    for member in members(source):
        if isinstance(member, Refused):
            found.problems.append(Problem(member.name, member.code, member.reason, member.remedy))
            continue
        path = PurePosixPath(member.name)
        kind = path.suffix.lower()
        if path.name.startswith(".") or not (path.name in LISTS or kind in SUFFIXES or kind in OTHER_AUDIO):
            continue
        if kind in OTHER_AUDIO:
            found.problems.append(_unsupported(member.name, kind))
            continue
        try:
            content = member.read()
        except UnreadableMember as error:
            found.problems.append(Problem(member.name, error.code, error.reason, error.remedy))
            continue
        if path.name in LISTS:
            names = content.decode("utf-8", errors="replace").splitlines()
            lists.update((name.strip(), LISTS[path.name]) for name in names if name.strip())
        else:
            yield member.name, content, member.share


def _placed(name: str, found: Ingested) -> Placement | None:
    placement = place(name)
    if placement is None:
        found.problems.append(_nowhere(name))
    elif len(name) > LONGEST_NAME or len(placement.label) > LONGEST_LABEL:
        found.problems.append(_long_name(name))
        return None
    return placement


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
    """Split of a clip by Speech Commands' published rule (`which_set`), which never changes as clips are added.

    It hashes the file's name up to `_nohash_`, the speaker, so that all clips of one person stay together.
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


def _divide(found: Ingested, places: Mapping[str, Placement], lists: Mapping[str, str]) -> None:
    """Set the split of every clip: by the lists, else by folders, else by the published rule."""
    folders = {places[clip.name].split for clip in found.clips} - {""}
    # One such folder alone is no division: somebody calls all of the data "test recordings".
    by_folder = not lists and len(folders) > 1
    if by_folder:
        found.problems += [_outside(clip.name) for clip in found.clips if _is_outside(clip, places)]
        found.clips = [clip for clip in found.clips if not _is_outside(clip, places)]
    for clip in found.clips:
        if clip.noise:
            clip.split = "train"
        elif lists:
            clip.split = lists.get("/".join(PurePosixPath(clip.name).parts[-2:]), "train")
        else:
            clip.split = places[clip.name].split if by_folder else published_split(clip.name)


def _is_outside(clip: IngestedClip, places: Mapping[str, Placement]) -> bool:
    return not clip.noise and not places[clip.name].split


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


def _outside(name: str) -> Problem:
    return Problem(
        name, "no-split", "The data is divided into train, validation and test folders; this file lies beside them.",
        "Put it into one of them.",
    )  # fmt: skip


def _long_name(name: str) -> Problem:
    return Problem(
        name, "long-name", f"The name has more than {LONGEST_NAME} letters, or its word more than {LONGEST_LABEL}.",
        "Give file and folder shorter names.",
    )  # fmt: skip


def _unsupported(name: str, kind: str) -> Problem:
    return Problem(
        name, "unsupported", f"Edgewise does not read {kind} files.", f"Convert it to one of: {', '.join(SUFFIXES)}."
    )
