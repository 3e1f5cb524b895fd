"""Look through all words of raw data for what makes a network, or its test, worse than it looks."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from edgewise.spec.quality import FindingCode
from workers.engine.ingest import IngestedClip
from workers.engine.quality.duplicates import Sound, digest, find_copies
from workers.engine.quality.labels import suspected_labels
from workers.engine.quality.levels import NEAR_SILENT_DBFS, faults
from workers.engine.quality.signatures import Signatures, describe

CLIPS_AT_ONCE = 64
KEEPING = ("test", "validation", "train")
"""Which split keeps a recording that is in several: the one that has the fewest clips to lose."""
DUPLICATES = {
    (True, True): FindingCode.EXACT_DUPLICATE_ACROSS_SPLITS,
    (True, False): FindingCode.EXACT_DUPLICATE,
    (False, True): FindingCode.NEAR_DUPLICATE_ACROSS_SPLITS,
    (False, False): FindingCode.NEAR_DUPLICATE,
}
"""By whether the samples are the same, and whether the copies are in different splits."""


@dataclass(frozen=True)
class Finding:
    """A fault of one clip."""

    code: FindingCode
    clip: int
    """Number of the clip."""
    other: int | None = None
    """Number of the clip that is kept of the same recording."""
    suggestion: str = ""
    """The word that is probably spoken."""
    score: float = 1.0
    """How sure the finding is: 1 is certain."""


def check(
    clips: Sequence[IngestedClip], pack: Path, report: Callable[[int], None], stop: Callable[[], None]
) -> list[Finding]:
    """Find faults in the words; noise is passed over.

    Memory grows in proportion to the clips, under a kilobyte for each; time to the clips and the number of labels.

    Args:
        clips: with their splits.
        pack: holds their samples.
        report: is told how many clips have been looked at.
        stop: is called now and then, and raises where the work shall end.
    """
    words = [number for number, clip in enumerate(clips) if not clip.noise]
    if not words:
        return []
    recordings = _Recordings([clips[number] for number in words], pack)
    # Products this small gain nothing from threads, which wait for each other where the machine is busy.
    with threadpool_limits(1, user_api="blas"):
        look = _look(recordings, report, stop)
        copies = find_copies(look.digests, look.signatures.alignment, look.audible, recordings.sound, stop)
        found = [
            *_wrong_labels(recordings.clips, look, stop),
            *(finding for group in copies for finding in _duplicates(recordings.clips, group, look.digests)),
            *_leaking_speakers(recordings.clips),
            *look.faults,
        ]
    return [replace(one, clip=words[one.clip], other=None if one.other is None else words[one.other]) for one in found]


class _Recordings:
    """Clips with their samples, which stay on disk."""

    def __init__(self, clips: list[IngestedClip], pack: Path) -> None:
        self.clips = clips
        self._pack = pack

    def sound(self, row: int) -> Sound:
        clip = self.clips[row]
        # Read, not mapped: the pages of a large pack would stay in this process's memory.
        return np.fromfile(self._pack, "<i2", clip.length, offset=2 * clip.offset), clip.sample_rate


@dataclass(frozen=True)
class _Look:
    """What one pass over the samples tells."""

    digests: npt.NDArray[np.uint64]
    signatures: Signatures
    audible: npt.NDArray[np.bool_]
    faults: list[Finding]


def _look(recordings: _Recordings, report: Callable[[int], None], stop: Callable[[], None]) -> _Look:
    clips = recordings.clips
    digests, signatures, found = np.zeros(len(clips), np.uint64), Signatures.empty(len(clips)), list[Finding]()
    median = statistics.median(clip.length / clip.sample_rate for clip in clips)
    for begin in range(0, len(clips), CLIPS_AT_ONCE):
        stop()
        rows = range(begin, min(begin + CLIPS_AT_ONCE, len(clips)))
        sounds = [recordings.sound(row) for row in rows]
        digests[rows.start : rows.stop] = [digest(*sound) for sound in sounds]
        described = describe(sounds)
        signatures.alignment[rows.start : rows.stop] = described.alignment
        signatures.word[rows.start : rows.stop] = described.word
        for row, (samples, _) in zip(rows, sounds, strict=True):
            found += [Finding(code, row) for code in faults(clips[row], median, samples)]
        report(rows.stop)
    audible = np.array([clip.peak_dbfs >= NEAR_SILENT_DBFS for clip in clips])
    return _Look(digests, signatures, audible, found)


def _wrong_labels(clips: Sequence[IngestedClip], look: _Look, stop: Callable[[], None]) -> Iterator[Finding]:
    rows = [row for row, is_audible in enumerate(look.audible) if is_audible]
    labels = [clips[row].label for row in rows]
    for suspicion in suspected_labels(look.signatures.word[rows], labels, stop):
        yield Finding(
            FindingCode.WRONG_LABEL, rows[suspicion.row], suggestion=suspicion.suggestion, score=suspicion.doubt
        )


def _duplicates(clips: Sequence[IngestedClip], copies: list[int], digests: npt.NDArray[np.uint64]) -> Iterator[Finding]:
    """Give every copy but one; or all of them where their labels differ, because nobody knows which is right."""
    kept, *spare = sorted(copies, key=lambda row: (KEEPING.index(clips[row].split), row))
    if len({clips[row].label for row in copies}) > 1:
        yield Finding(FindingCode.CONFLICTING_LABELS, kept, other=spare[0])
        yield from (Finding(FindingCode.CONFLICTING_LABELS, row, other=kept) for row in spare)
        return
    for row in spare:
        exact, leaking = bool(digests[row] == digests[kept]), clips[row].split != clips[kept].split
        yield Finding(DUPLICATES[exact, leaking], row, other=kept)


def _leaking_speakers(clips: Sequence[IngestedClip]) -> Iterator[Finding]:
    """Give the clips of each speaker that are not in the split where most of that speaker's clips are."""
    by_speaker = defaultdict[str, list[int]](list)
    for row, clip in enumerate(clips):
        if clip.speaker:
            by_speaker[clip.speaker].append(row)
    for rows in by_speaker.values():
        home = Counter(clips[row].split for row in rows).most_common(1)[0][0]
        yield from (Finding(FindingCode.SPEAKER_IN_SEVERAL_SPLITS, row) for row in rows if clips[row].split != home)
