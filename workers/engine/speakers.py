"""Who spoke a clip, as far as the names of the files tell, and which split a speaker belongs to.

Names in Speech Commands' form (`<speaker>_nohash_<n>`) say it themselves. In others, such as the Free Spoken Digit
Dataset's `<digit>_<speaker>_<take>`, a part of the name is taken for the speaker's where it repeats over words *and*
over takes of one word, holds letters, and is the only one that does. Where in doubt, nobody is told.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePosixPath
from typing import Protocol

NOHASH = re.compile(r"_nohash_.*$")
SEPARATORS = re.compile(r"[_\-. ]+")
TAKE = re.compile(r"(take|rec|recording|clip|sample|utterance|sentence|session|version|no|nr|t|r|v)?\d*", re.IGNORECASE)
FEWEST_SPEAKERS = 3
"""One each for training, validation and test."""
MOST_SPEAKERS = 20_000
MOST_PARTS = 8
LEAST_SHARE = 0.9
"""Of the clips that a part of the name must tell the speaker of, before it is believed."""


class Named(Protocol):
    """A clip with its word and its path."""

    @property
    def label(self) -> str:
        """Its word."""

    @property
    def name(self) -> str:
        """Its path."""


def speakers_of(clips: Sequence[Named]) -> Iterator[str]:
    """Read the speaker of each clip off the names of all; empty where they do not tell."""
    if any("_nohash_" in clip.name for clip in clips):
        stems = (PurePosixPath(clip.name).stem for clip in clips)
        return (NOHASH.sub("", stem) if "_nohash_" in stem else "" for stem in stems)
    number = _usual_number_of_parts(clips)
    told = [(place, voices) for place in range(number) if (voices := _voices(clips, number, place))]
    if len(told) != 1:
        return ("" for _ in clips)
    place, voices = told[0]
    return (part if part in voices else "" for part in _parts_at(clips, number, place))


def _usual_number_of_parts(clips: Sequence[Named]) -> int:
    numbers = Counter(len(_parts(clip)) for clip in clips)
    number, count = numbers.most_common(1)[0] if numbers else (0, 0)
    return number if number <= MOST_PARTS and count >= LEAST_SHARE * len(clips) else 0


def _voices(clips: Sequence[Named], number: int, place: int) -> set[str]:
    """Values of one part of the names, if it is one that tells speakers."""
    takes: dict[str, Counter[str]] = defaultdict(Counter)
    for clip, part in zip(clips, _parts_at(clips, number, place), strict=True):
        if not TAKE.fullmatch(part):
            takes[part][clip.label] += 1
        if len(takes) > MOST_SPEAKERS:
            return set()
    voices = {part for part, words in takes.items() if len(words) > 1 and max(words.values()) > 1}
    told = sum(takes[voice].total() for voice in voices)
    return voices if len(voices) >= FEWEST_SPEAKERS and told >= LEAST_SHARE * len(clips) else set()


def _parts_at(clips: Iterable[Named], number: int, place: int) -> Iterator[str]:
    # Split anew each time: a list of all parts would fill the memory.
    rows = (_parts(clip) for clip in clips)
    return (row[place] if len(row) == number else "" for row in rows)


def _parts(clip: Named) -> list[str]:
    stem = PurePosixPath(clip.name).stem
    return SEPARATORS.split(stem.removeprefix(clip.label).strip("_-. "), maxsplit=MOST_PARTS)


def deal(speakers: Iterable[str], seed: int = 0, validation: float = 10, test: float = 10) -> dict[str, str]:
    """Give each speaker a split, so that nobody is in two; at least one each for validation and test."""

    def draw(speaker: str) -> bytes:
        return hashlib.sha1(f"{seed}:{speaker}".encode(), usedforsecurity=False).digest()

    drawn = sorted(set(speakers), key=draw)
    tests, validations = (max(1, round(len(drawn) * percentage / 100)) for percentage in (test, validation))
    splits = dict.fromkeys(drawn, "train")
    splits.update(dict.fromkeys(drawn[tests : tests + validations], "validation"))
    splits.update(dict.fromkeys(drawn[:tests], "test"))
    return splits
