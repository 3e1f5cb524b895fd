"""Faults that are planted in real recordings: how many does the check of raw data find, and how often is it wrong?

The digits of both archives, divided by speaker (four train, one validates, one tests), with

- 5 % of the labels swapped for another digit's,
- 3 % of the clips once more in another split, a third of them as they are, a third quieter or louder and shifted, a
  third coded with a loss and at another sample rate,
- a fifth of the clips of one speaker in another split;

and the wake words, of more than fifty people, with swapped labels and duplicates. A sixth part of these are copies as
they were published; they are left out first, so that they do not count as mistakes.
"""

from __future__ import annotations

import io
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

import numpy as np
import soundfile
import soxr

from edgewise.spec.dataset import SPLITS
from edgewise.spec.quality import FindingCode
from workers.bench.figures import Figure
from workers.bench.tasks import ARCHIVES, DIGITS, MORE_DIGITS, RECORDINGS, WAKE_WORDS, Corpus, read
from workers.engine.audio import Int16Array, PackWriter, Recording
from workers.engine.ingest import IngestedClip, add
from workers.engine.quality.check import Finding, check

SWAPPED, COPIED, MOVED = 0.05, 0.03, 0.2
RECALL, PRECISION = 0.9, 0.8
RATE = 16000
DUPLICATES = frozenset(code for code in FindingCode if "duplicate" in code) | {FindingCode.CONFLICTING_LABELS}


@dataclass
class Planted:
    """Clips with faults, and where these are."""

    clips: list[IngestedClip]
    pack: Path
    swapped: set[int]
    copies: set[frozenset[int]]
    """Pairs of numbers: the original and its copy."""
    moved: set[int]


def measure(seeds: int) -> list[Figure]:
    """Plant faults with each seed and compare them with what is found.

    Args:
        seeds: how often, with the seeds 0, 1, ….
    """
    figures = []
    with tempfile.TemporaryDirectory(prefix="edgewise-bench-") as name:
        folder = Path(name)
        words = read(ARCHIVES / RECORDINGS, folder)
        corpora = {
            "digits": (words + read(ARCHIVES / MORE_DIGITS, folder), DIGITS),
            "wake": (_without_copies(words), WAKE_WORDS),
        }
        for title, (corpus, labels) in corpora.items():
            trials = [_trial(corpus, labels, seed, folder) for seed in range(seeds)]
            figures += [
                Figure(
                    f"{title}.{figure}", fmean(trial[figure] for trial in trials),
                    at_least=RECALL if "recall" in figure else PRECISION if "precision" in figure else None,
                )
                for figure in trials[0]
            ]  # fmt: skip
    return figures


def _trial(corpus: Corpus, labels: Sequence[str], seed: int, folder: Path) -> dict[str, float]:
    planted = plant(corpus, labels, seed, folder)
    begin = time.perf_counter()
    found = check(planted.clips, planted.pack, lambda done: None, lambda: None)
    microseconds = 1e6 * (time.perf_counter() - begin) / len(planted.clips)
    return {**_scores(planted, found), "microseconds_per_clip": microseconds}


def _scores(planted: Planted, found: Sequence[Finding]) -> dict[str, float]:
    suspected = {finding.clip for finding in found if finding.code == FindingCode.WRONG_LABEL}
    pairs = {
        frozenset((finding.clip, finding.other))
        for finding in found
        if finding.code in DUPLICATES and finding.other is not None
    }
    leaking = {finding.clip for finding in found if finding.code == FindingCode.SPEAKER_IN_SEVERAL_SPLITS}
    kinds: dict[str, tuple[set[object], set[object]]] = {
        "labels": (set(planted.swapped), set(suspected)),
        "duplicates": (set(planted.copies), set(pairs)),
        "speakers": (set(planted.moved), set(leaking)),
    }
    scores = {}
    for kind, (there, flagged) in kinds.items():
        if there:
            scores[f"{kind}.recall"] = len(there & flagged) / len(there)
            scores[f"{kind}.precision"] = len(there & flagged) / max(1, len(flagged))
    return scores


# --- planting ---------------------------------------------------------------------------------------------------------


def plant(corpus: Corpus, labels: Sequence[str], seed: int, folder: Path) -> Planted:
    """Write the words with these labels to a pack, with faults."""
    generator = np.random.default_rng(seed)
    chosen = [row for row, word in enumerate(corpus.words) if word.label in labels]
    clips, copies = [], set()
    with PackWriter(folder) as pack:
        for row in chosen:
            word = corpus.words[row]
            clip = _added(pack, corpus.clips.samples(row), word.name, word.label, word.speaker)
            clips.append(replace(clip, split=word.split))
        moved = _divide_by_speaker(clips, generator) if tuple(labels) == DIGITS else set()
        swapped, copied = _drawn(len(clips), (SWAPPED, COPIED), generator)
        for kind, original in enumerate(copied):
            clip = clips[original]
            samples, rate = _copy(corpus.clips.samples(chosen[original]), kind % 3, generator)
            copy = _added(pack, samples, f"copy/{clip.name}", clip.label, "", rate)
            copies.add(frozenset((original, len(clips))))
            clips.append(replace(copy, split=str(generator.choice([s for s in SPLITS if s != clip.split]))))
        for number in swapped:
            others = [label for label in labels if label != clips[number].label]
            clips[number].label = str(generator.choice(others))
    return Planted(clips, pack.path, set(swapped), copies, moved)


def _without_copies(corpus: Corpus) -> Corpus:
    """Leave out what the check itself takes for copies."""
    clips = corpus.clips
    plain = [
        IngestedClip(word.name, word.label, "", False, int(clips.offset[row]), int(clips.length[row]), RATE, 0, 0)
        for row, word in enumerate(corpus.words)
    ]
    copies = {
        one.clip for one in check(plain, clips.packs[0], lambda done: None, lambda: None) if one.code in DUPLICATES
    }
    rows = [row for row in range(len(plain)) if row not in copies]
    return replace(corpus, words=tuple(corpus.words[row] for row in rows), clips=clips.select(rows))


def _added(
    pack: PackWriter, samples: Int16Array, name: str, label: str, speaker: str, rate: int = RATE
) -> IngestedClip:
    return add(pack, Recording(samples, rate), name=name, label=label, speaker=speaker, noise=False)


def _drawn(count: int, shares: Sequence[float], generator: np.random.Generator) -> list[list[int]]:
    """Draw shares of the numbers below `count`; no number is drawn twice."""
    order = generator.permutation(count)
    ends = np.cumsum([round(count * share) for share in shares])
    return [part.tolist() for part in np.split(order[: ends[-1]], ends[:-1])]


def _divide_by_speaker(clips: list[IngestedClip], generator: np.random.Generator) -> set[int]:
    """Give each split speakers of its own, but move some clips of one; return these."""
    voices = generator.permutation(sorted({clip.speaker for clip in clips})).tolist()
    homes = {voice: {0: "test", 1: "validation"}.get(place, "train") for place, voice in enumerate(voices)}
    for clip in clips:
        clip.split = homes[clip.speaker]
    torn = [number for number, clip in enumerate(clips) if clip.speaker == voices[2]]
    moved = generator.choice(torn, round(MOVED * len(torn)), replace=False).tolist()
    for number in moved:
        clips[number].split = "test"
    return set(moved)


def _copy(samples: Int16Array, kind: int, generator: np.random.Generator) -> tuple[Int16Array, int]:
    """Return samples as they are (0), at another level and place (1), or coded with a loss at another rate (2)."""
    if kind == 0:
        return samples, RATE
    if kind == 1:
        louder = samples * 10 ** (generator.uniform(-12, 3) / 20)
        before, cut = (round(RATE * generator.uniform(*seconds)) for seconds in ((0.01, 0.1), (0, 0.02)))
        return np.pad(np.clip(louder, -32768, 32767).astype("<i2")[: len(samples) - cut], (before, 0)), RATE
    rate = int(generator.choice([8000, 22050, 44100]))
    form, coding = (("OGG", "VORBIS"), ("MP3", "MPEG_LAYER_III"))[generator.integers(2)]
    coded = io.BytesIO()
    soundfile.write(coded, soxr.resample(samples, RATE, rate), rate, format=form, subtype=coding)
    coded.seek(0)
    return soundfile.read(coded, dtype="int16")[0], rate
