"""From files to clips: which word, who spoke it, which split, and where its samples lie in the pack.

Layouts (each with or without folders above it):

    <word>/<speaker>_nohash_<n>.wav, _background_noise_/…      Speech Commands (Warden 2018)
    train|validation|test…/<word>/…, background_noise/…        `nengo-edge package-dataset kws`
    <word>/<any name>.wav                                       plain folders

Where `testing_list.txt` or `validation_list.txt` is there, the lists alone decide the split; else the folders do; else,
where the names tell speakers in another form than that of Speech Commands, whole speakers are dealt; else the published
rule of Speech Commands decides: a hash of the part of the name before `_nohash_`, or of the whole name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from os.path import splitext
from pathlib import Path, PurePosixPath

from workers.engine.archives import Member, Refused, members
from workers.engine.audio import SUFFIXES, PackWriter, Recording, decode
from workers.engine.errors import EngineError, UnusableFile
from workers.engine.speakers import NOHASH, deal, speakers_of

NOISE_FOLDERS = ("_background_noise_", "background_noise")
LISTS = {"testing_list.txt": "test", "validation_list.txt": "validation"}
LARGEST_LISTS = 2 * 2**20
"""Bytes of all lists together: more than 60,000 names."""
SPLIT_FOLDERS = ("train", "validation", "test")
OTHER_AUDIO = (".wma", ".caf", ".ape", ".ra", ".mov", ".mkv", ".avi")
ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".7z", ".rar")
"""Told of, where other files are passed over in silence."""
LONGEST_LABEL = 100
MOST_NAMED = 2**27 - 1


@dataclass(slots=True)
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


@dataclass(frozen=True, slots=True)
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
    """What the folders of a file say about it."""

    label: str
    noise: bool
    split: str


def ingest(source: Path, folder: Path, report: Callable[[int, float], None], stop: Callable[[], None]) -> Ingested:
    """Read an archive or folder into a pack in `folder`.

    Args:
        source: archive or folder.
        folder: where the pack is written.
        report: is told how many files have been read, and which share of the source.
        stop: is called between files and raises where the work shall end.

    Raises:
        EngineError: the source cannot be read, or there is no word in it.
    """
    with PackWriter(folder) as pack:
        intake = _Intake(pack)
        for count, member in enumerate(members(source), 1):
            stop()
            if isinstance(member, Refused):
                intake.refuse(member)
            else:
                intake.take(member)
                report(count, member.share)
        found = intake.found
        _require_words(found)
    found.pack, found.sha256 = pack.path, pack.sha256
    # Only now: the lists may come last, and one file does not tell which layout it is.
    _name_speakers(found)
    _divide(found, intake.lists)
    return found


class _Intake:
    """Take one file after the other."""

    def __init__(self, pack: PackWriter) -> None:
        self.found = Ingested()
        self.lists: dict[str, str] = {}
        self._pack = pack
        self._seen: set[str] = set()
        self._list_bytes = 0

    def refuse(self, file: Refused) -> None:
        """Tell of a file that the archive does not give."""
        self.found.problems.append(Problem(file.name, file.code, file.reason, file.remedy))

    def take(self, file: Member) -> None:
        """Use a file, or tell why not."""
        try:
            self._use(file)
        except UnusableFile as error:
            self.found.problems.append(Problem(file.name, error.code, error.reason, error.remedy))

    def _use(self, file: Member) -> None:
        folder, _, name = file.name.rpartition("/")
        kind = splitext(name)[1].lower()
        if name in LISTS:
            self._read_list(file, LISTS[name])
        elif name.startswith("."):
            return
        elif kind in SUFFIXES:
            self._read_clip(file, folder)
        elif kind in OTHER_AUDIO:
            raise _unsupported(kind)
        elif kind in ARCHIVES:
            raise UnusableFile(
                "nested-archive",
                "This is an archive in the data.",
                "Unpack it, and pack the folders of words once.",
            )

    def _read_list(self, file: Member, split: str) -> None:
        self._list_bytes += file.size
        if self._list_bytes > LARGEST_LISTS:
            raise UnusableFile(
                "list-too-large", f"The lists of names hold more than {LARGEST_LISTS:,} bytes.",
                "Give train, validation and test each a folder instead.",
            )  # fmt: skip
        names = file.read().decode("utf-8", errors="replace").splitlines()
        self.lists.update((name.strip(), split) for name in names if name.strip())

    def _read_clip(self, file: Member, folder: str) -> None:
        if file.name in self._seen:
            raise UnusableFile("same-name", "The archive holds this name twice.", "Keep one of them.")
        placement = place(folder)
        self._seen.add(file.name)
        clip = add(self._pack, decode(file.read()), name=file.name, label=placement.label, noise=placement.noise)
        clip.split = placement.split
        self.found.clips.append(clip)


@lru_cache(maxsize=1024)
def place(folder: str) -> Placement:
    """Read label and split off a file's folder.

    Raises:
        UnusableFile: it is no word's folder.
    """
    folders = folder.split("/") if folder else []
    placement = _placement(folders)
    if placement is None:
        raise UnusableFile(
            "no-label", "The file lies in no word's folder.", "Put it into a folder with the word as its name."
        )
    if len(placement.label) > LONGEST_LABEL:
        raise UnusableFile(
            "long-name",
            f"The name of its word has more than {LONGEST_LABEL} letters.",
            "Give the folder a shorter name.",
        )
    return placement


def _placement(folders: list[str]) -> Placement | None:
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
    key = NOHASH.sub("", name.rpartition("/")[2])
    share = (int(hashlib.sha1(key.encode(), usedforsecurity=False).hexdigest(), 16) % (MOST_NAMED + 1)) * (
        100 / MOST_NAMED
    )
    if share < validation:
        return "validation"
    return "test" if share < validation + test else "train"


def add(
    pack: PackWriter, recording: Recording, *, name: str, label: str, speaker: str = "", noise: bool
) -> IngestedClip:
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


def _name_speakers(found: Ingested) -> None:
    words = [clip for clip in found.clips if not clip.noise]
    for clip, speaker in zip(words, speakers_of(words), strict=True):
        clip.speaker = speaker


def _divide(found: Ingested, lists: Mapping[str, str]) -> None:
    """Set the split of every clip: by the lists, else by folders, else by speakers, else by the published rule."""
    words = [clip for clip in found.clips if not clip.noise]
    if lists:
        for clip in words:
            clip.split = lists.get("/".join(PurePosixPath(clip.name).parts[-2:]), "train")
    # One such folder alone is no division: somebody calls all of the data "test recordings".
    elif len({clip.split for clip in words} - {""}) > 1:
        found.problems += [_outside(clip.name) for clip in words if not clip.split]
        found.clips = [clip for clip in found.clips if clip.noise or clip.split]
    else:
        _divide_by_rule(words)
    for clip in found.clips:
        if clip.noise:
            clip.split = "train"


def _divide_by_rule(words: list[IngestedClip]) -> None:
    names_tell = any(clip.speaker for clip in words) and not any("_nohash_" in clip.name for clip in words)
    dealt = deal(clip.speaker for clip in words if clip.speaker) if names_tell else {}
    for clip in words:
        clip.split = dealt.get(clip.speaker) or published_split(clip.name)


def _require_words(found: Ingested) -> None:
    if any(not clip.noise for clip in found.clips):
        return
    if found.problems:
        first, count = found.problems[0], len(found.problems)
        which = f"{count:,} problems, the first in {first.name}" if count > 1 else first.name
        reason = f"Nothing in this data could be used: {which}: {first.reason}"
        raise EngineError("no-usable-clips", reason, first.remedy)
    raise EngineError(
        "no-words",
        "There are no recorded words in this data.",
        "Put the recordings of each word (wav, flac, mp3 or ogg) into a folder with the word as its name.",
    )


def _outside(name: str) -> Problem:
    return Problem(
        name, "no-split", "The data is divided into train, validation and test folders; this file lies beside them.",
        "Put it into one of them.",
    )  # fmt: skip


def _unsupported(kind: str) -> UnusableFile:
    return UnusableFile(
        "unsupported", f"Edgewise does not read {kind} files.", f"Convert it to one of: {', '.join(SUFFIXES)}."
    )
