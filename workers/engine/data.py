"""What training reads: tables of clips on packed audio.

A pack is a file of little-endian int16 samples, mono. A clip is a row: which pack, where, how long, which label. Clips
are read from their packs one by one, so that a hundred thousand of them need next to no memory.
"""

from __future__ import annotations

import os
import weakref
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from workers.engine.errors import EngineError
from workers.engine.files import write_atomically

Int64Array = npt.NDArray[np.int64]
Int16Array = npt.NDArray[np.int16]

SAMPLE_BYTES = 2

NOISE_SHARES = {"train": (0, 8), "validation": (8, 9), "test": (9, 10)}
"""Tenths of every noise recording (begin, end) that belong to a split."""
NOISE_SECONDS = 60
SWELL_SECONDS = 5.0
LOWEST_HEARD_HERTZ = 20.0
AS_LOUD = 0.999
"""Share of the loudest window's energy above which another one is as loud."""


class Pack:
    """A file of samples, read piece by piece: what is read from a map of it would count as the process's own memory.

    It is closed with the last reference to it, and threads may read at once.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self._descriptor)

    def read(self, begin: int, count: int) -> Int16Array:
        """Return `count` samples from `begin`."""
        content = os.pread(self._descriptor, count * SAMPLE_BYTES, begin * SAMPLE_BYTES)
        return np.frombuffer(content, dtype="<i2")


@dataclass(frozen=True)
class Clips:
    """A table of clips, one row each, all at the same sample rate.

    `origin` counts the rows of the table that a caller made: a row that was cut from another keeps its number, so that
    a prediction can be traced back to a recording.
    """

    packs: tuple[Path, ...]
    pack: Int64Array
    offset: Int64Array
    length: Int64Array
    label: Int64Array
    origin: Int64Array

    @classmethod
    def of(cls, packs: tuple[Path, ...], rows: npt.ArrayLike) -> Clips:
        """Make a table from rows of (pack, offset, length, label)."""
        table = np.asarray(rows, dtype=np.int64).reshape(-1, 4)
        return cls(packs, table[:, 0], table[:, 1], table[:, 2], table[:, 3], np.arange(len(table)))

    def __len__(self) -> int:
        return len(self.offset)

    @cached_property
    def _opened(self) -> list[Pack]:
        return [Pack(path) for path in self.packs]

    def samples(self, row: int) -> Int16Array:
        """Return the samples of one clip."""
        return self._read(row, 0, int(self.length[row]))

    def around(self, row: int, start: int, count: int) -> npt.NDArray[np.float32]:
        """Return `count` samples from `start` (relative to the clip), in [-1, 1]; zeros where the clip has none."""
        piece = np.zeros(count, dtype=np.float32)
        first, last = max(start, 0), min(start + count, int(self.length[row]))
        if first < last:
            samples = self._read(row, first, last - first)
            np.multiply(samples, np.float32(1 / 32768), out=piece[first - start : last - start])
        return piece

    def _read(self, row: int, start: int, count: int) -> Int16Array:
        return self._opened[int(self.pack[row])].read(int(self.offset[row]) + start, count)

    def select(self, rows: npt.ArrayLike) -> Clips:
        """Return a table of some of the rows."""
        chosen = np.asarray(rows)
        return Clips(
            self.packs, self.pack[chosen], self.offset[chosen], self.length[chosen], self.label[chosen],
            self.origin[chosen],
        )  # fmt: skip


def starts(clips: Clips, samples: int) -> Int64Array:
    """Return where in each clip the network's window of `samples` begins.

    A shorter clip stands in the middle of the window (a negative start); a longer one is cut where its energy is.
    """
    slack = clips.length - samples
    found = slack // 2
    for row in np.flatnonzero(slack > 0):
        found[row] = loudest(clips.samples(int(row)), samples)
    return found


def loudest(audio: Int16Array, samples: int) -> int:
    """Return where the loudest window begins; of several, the middle one, so that a word is centred."""
    step = max(1, samples // 100)
    blocks = audio[: len(audio) // step * step].reshape(-1, step).astype(np.float64)
    energy = np.concatenate([[0.0], np.cumsum((blocks**2).sum(axis=1))])
    width = samples // step
    windows = energy[width:] - energy[:-width]
    loud = np.flatnonzero(windows >= AS_LOUD * windows.max())
    return min(int(loud[len(loud) // 2]) * step, len(audio) - samples)


@dataclass(frozen=True)
class TrainingData:
    """All that a run hears. `noise` rows are long recordings; their labels mean nothing."""

    labels: tuple[str, ...]
    sample_rate: int
    clip_samples: int
    train: Clips
    validation: Clips
    test: Clips
    noise: Clips

    def split(self, name: str) -> Clips:
        """Return the clips of one split."""
        return {"train": self.train, "validation": self.validation, "test": self.test}[name]


def cut_silence(noise: Clips, counts: dict[str, int], label: int, samples: int, seed: int) -> dict[str, Clips]:
    """Cut clips of `<silence>` from noise recordings, `counts[split]` of them for each split.

    Each split has its own stretch of every recording, so that what judges the network was not heard in training.
    Recordings whose stretch is shorter than a clip are left out; where all are, clips are shorter too.

    Args:
        noise: the recordings; `origin` of a cut clip is the row of its recording.
        counts: clips for each split.
        label: of the cut clips.
        samples: length of each clip.
        seed: of the places.
    """
    generator = np.random.default_rng([seed, samples])
    return {split: _cut(stretches(noise, split), count, label, samples, generator) for split, count in counts.items()}


def stretches(noise: Clips, split: str) -> Clips:
    """Return the stretch of each noise recording that one split may hear."""
    begin, end = NOISE_SHARES[split]
    first, last = (noise.length * begin // 10).astype(np.int64), (noise.length * end // 10).astype(np.int64)
    return Clips(noise.packs, noise.pack, noise.offset + first, last - first, noise.label, np.arange(len(noise)))


def _cut(noise: Clips, count: int, label: int, samples: int, generator: np.random.Generator) -> Clips:
    long_enough = np.flatnonzero(noise.length >= samples)
    usable = long_enough if len(long_enough) else np.arange(len(noise))
    rows = usable[np.arange(count) % len(usable)]
    length = np.minimum(noise.length[rows], samples)
    offset = noise.offset[rows] + generator.integers(noise.length[rows] - length + 1)
    return Clips(noise.packs, noise.pack[rows], offset, length, np.full(count, label, np.int64), noise.origin[rows])


def generated_noise(folder: Path, sample_rate: int) -> Clips:
    """Make noise for data that has none: white, pink and brown, swelling and fading, once, in a pack of its own."""
    path = folder / f"noise-{sample_rate}.pcm"
    count = sample_rate * NOISE_SECONDS
    if not path.exists():
        write_atomically(path, b"".join(_noise(colour, count, sample_rate).tobytes() for colour in (0.0, 0.5, 1.0)))
    return Clips.of((path,), [(0, index * count, count, 0) for index in range(3)])


def _noise(exponent: float, count: int, sample_rate: int) -> Int16Array:
    """Noise whose amplitude falls with frequency to the power of -exponent.

    Its level swings between -60 and -20 dB so often that the stretch of each split has all levels.
    """
    generator = np.random.default_rng(int(exponent * 10))
    spectrum = np.fft.rfft(generator.standard_normal(count))
    # Below what is heard the spectrum is flat: brown noise would be little but slow drift.
    spectrum /= np.maximum(np.fft.rfftfreq(count, 1 / sample_rate), LOWEST_HEARD_HERTZ) ** exponent
    audio = np.fft.irfft(spectrum, count)
    level = -40 + 20 * np.sin(2 * np.pi * np.arange(count) / (SWELL_SECONDS * sample_rate))
    loud = audio / audio.std() * 10 ** (level / 20)
    return np.asarray(np.clip(loud * 32768, -32768, 32767).astype("<i2"))


def join(first: Clips, second: Clips) -> Clips:
    """Put two tables one after the other."""
    return Clips(
        first.packs + second.packs,
        np.concatenate([first.pack, second.pack + len(first.packs)]),
        np.concatenate([first.offset, second.offset]),
        np.concatenate([first.length, second.length]),
        np.concatenate([first.label, second.label]),
        np.concatenate([first.origin, second.origin]),
    )


def require_clips(data: TrainingData) -> None:
    """Check that there is something to learn from.

    Raises:
        EngineError: a label has no training clips, or a split is empty.
    """
    present = set(np.unique(data.train.label).tolist())
    missing = [label for index, label in enumerate(data.labels) if index not in present]
    if missing:
        raise EngineError(
            "no-clips",
            f"There are no training clips of {', '.join(missing)}.",
            "Add recordings, leave the label out, or divide the data in another way.",
        )
    for name in ("validation", "test"):
        if not len(data.split(name)):
            raise EngineError(
                "no-clips",
                f"There are no {name} clips.",
                "Divide the dataset by speaker or by clip, or add recordings.",
            )
