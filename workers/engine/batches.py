"""Batches: a pure function of (data, parameters, step), so that resuming and repeating come for free.

Each step draws its own random numbers from a counter-based generator (Philox: Salmon et al. 2011), keyed by the run's
seed and counted by the step. Labels are drawn evenly, then a clip of the label: rare labels weigh as much as frequent
ones.
Clips are changed as audio (shift, speed, noise, gain, bandwidth), then as spectra (equalizer), then as features
(SpecAugment: Park et al. 2019).
"""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import numpy as np
import numpy.typing as npt
from scipy import fft

from edgewise.spec.dataset import SILENCE
from edgewise.spec.run import Augmentation, RunParameters
from workers.engine.audio import QUIETEST_RMS, rms
from workers.engine.data import Clips, TrainingData, starts, stretches
from workers.engine.features import FeatureExtractor
from workers.engine.files import write_array

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int32]

THREADS = min(4, os.cpu_count() or 1)
"""Dispatches that are prepared at once, while one is computed; one more waits. Most of the work is done without
Python's lock, and a small network's step takes a fraction of what its batch takes."""

LARGEST_TIME_MASK = 0.15
LARGEST_FREQUENCY_MASK = 0.2
NARROWEST_HERTZ = 3000.0
EQUALIZER_KNOTS = 5
"""Places on the mel axis, an octave or so apart, at which an equalizer's gain is drawn."""

PLAIN_CLIPS_AT_ONCE = 256
FEATURES_VERSION = 2
"""To be counted up when the same clips give other features, by other windows too: those that lie in caches are then
made anew."""


@dataclass(frozen=True)
class Dispatch:
    """The batches of several consecutive steps, the first of which is `first` (counted from 0)."""

    first: int
    features: FloatArray
    """(steps, batch, frames, features)"""
    labels: IntArray
    """(steps, batch)"""

    @property
    def count(self) -> int:
        """Number of steps."""
        return len(self.labels)


@dataclass(frozen=True)
class Examples:
    """The batch of one step with its sound: what a person hears of what the network gets."""

    rows: IntArray
    """Rows of the training clips (batch,)."""
    audio: FloatArray
    """(batch, samples), as augmented; 1 is full scale, and what is mixed may exceed it."""
    features: FloatArray
    """(batch, frames, features)"""
    labels: IntArray
    """(batch,)"""


def changes_clips(settings: Augmentation) -> bool:
    """Whether clips are changed before they are features; else these, but for masks, are the same each time."""
    return any(
        (
            settings.noise_probability, settings.shift_ms, settings.gain_db, settings.speed_percentage,
            settings.narrowband_probability, settings.equalizer_db,
        )
    )  # fmt: skip


class BatchSource:
    """Training batches of one run.

    Args:
        data: the clips.
        parameters: of the run.
        cache: holds features of clips as they are, for runs that do not change the audio (see `plain_features`).
    """

    def __init__(self, data: TrainingData, parameters: RunParameters, cache: Path | None = None) -> None:
        self._data = data
        self._parameters = parameters
        self._extract = FeatureExtractor(parameters.preprocessing)
        self._starts = starts(data.train, data.clip_samples)
        self._places = np.arange(data.clip_samples, dtype=np.float32)
        self._rows = [np.flatnonzero(data.train.label == index) for index in range(len(data.labels))]
        self._noise = stretches(data.noise, "train")
        self._silence = data.labels.index(SILENCE) if SILENCE in data.labels else -1
        use_plain = cache is not None and not changes_clips(parameters)
        self._plain = plain_features(data.train, data.clip_samples, self._extract, cache) if use_plain else None
        # Threads take turns where a batch is many short calls: passing Python's lock on takes longer than such a call.
        self._turn = Lock()

    def batch(self, step: int) -> tuple[FloatArray, IntArray]:
        """Return features (batch, frames, features) and labels (batch,) of a step, counted from 0."""
        if self._plain is None:
            examples = self.examples(step)
            return examples.features, examples.labels
        rows, labels = self._draw(self._generator(step))
        return self._masked(np.array(self._plain[rows]), step), labels

    def examples(self, step: int) -> Examples:
        """Return the batch of a step, counted from 0, with its sound."""
        generator = self._generator(step)
        rows, labels = self._draw(generator)
        with self._turn:
            audio = self._clips(rows, generator)
            kept, gains = self._bandwidths(step), self._equalizer(step)
        low_pass(audio, kept)
        features = np.asarray(self._extract(audio, gains), dtype=np.float32)
        with self._turn:
            return Examples(rows, audio, self._masked(features, step), labels)

    def _draw(self, generator: np.random.Generator) -> tuple[IntArray, IntArray]:
        """Draw the rows and labels of a batch: first the labels, all as likely, then a clip of each."""
        labels = generator.integers(len(self._rows), size=self._parameters.batch_size)
        rows = [self._rows[label][generator.integers(len(self._rows[label]))] for label in labels]
        return np.array(rows, dtype=np.int32), labels.astype(np.int32)

    def _generator(self, step: int, stream: int = 0) -> np.random.Generator:
        return np.random.Generator(np.random.Philox(key=self._parameters.seed, counter=[0, 0, stream, step]))

    def dispatches(self, plan: Sequence[tuple[int, int]]) -> Generator[Dispatch, None, None]:
        """Prepare dispatches of (first step, steps) in threads, ahead of the one that is computed."""
        pool = ThreadPoolExecutor(THREADS, "batches")
        try:
            waiting: deque[Future[Dispatch]] = deque()
            for first, count in plan:
                waiting.append(pool.submit(self._dispatch, first, count))
                if len(waiting) > THREADS:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            # Whoever stops early does not wait for batches that nobody will read.
            pool.shutdown(cancel_futures=True)

    def _dispatch(self, first: int, count: int) -> Dispatch:
        batches = [self.batch(step) for step in range(first, first + count)]
        return Dispatch(first, np.stack([item[0] for item in batches]), np.stack([item[1] for item in batches]))

    def _clips(self, rows: IntArray, generator: np.random.Generator) -> FloatArray:
        """Read and change the clips of a batch: (batch, samples)."""
        audio = np.empty((len(rows), self._data.clip_samples), dtype=np.float32)
        for row, place in zip(rows, audio, strict=True):
            place[:] = self._clip(int(row), generator)
        return audio

    def _clip(self, row: int, generator: np.random.Generator) -> FloatArray:
        settings, samples = self._parameters, self._data.clip_samples
        faster, later, louder = generator.uniform(-1, 1, 3).tolist()
        speed = 1 + settings.speed_percentage / 100 * faster
        shift = settings.shift_ms / 1000 * self._data.sample_rate * later
        gain = 10 ** (settings.gain_db * louder / 20)
        heard = round(samples * speed)
        # A faster clip shows more of what surrounds it; its middle stays in the middle.
        start = int(self._starts[row]) + round(shift - (heard - samples) / 2)
        audio = self._data.train.around(row, start, heard)
        if heard != samples:
            audio = _stretched(audio, self._places)
        is_silence = self._data.train.label[row] == self._silence
        if not is_silence and len(self._noise) and generator.random() < settings.noise_probability:
            audio = self._with_noise(audio, generator)
        audio *= np.float32(gain)
        return audio

    def _with_noise(self, audio: FloatArray, generator: np.random.Generator) -> FloatArray:
        noise, samples = self._noise, self._data.clip_samples
        ratio = generator.uniform(self._parameters.noise_snr_min_db, self._parameters.noise_snr_max_db)
        row = int(generator.integers(len(noise)))
        start = int(generator.integers(max(1, int(noise.length[row]) - samples)))
        piece = noise.around(row, start, samples)
        piece *= np.float32(rms(audio) / max(rms(piece), QUIETEST_RMS) * 10 ** (-ratio / 20))
        piece += audio
        return piece

    def _bandwidths(self, step: int) -> FloatArray:
        """Draw the part of its spectrum that each clip of a step keeps: (batch,), 1 where that is all of it."""
        settings, generator = self._parameters, self._generator(step, stream=3)
        narrowest = min(1.0, NARROWEST_HERTZ / (self._data.sample_rate / 2))
        kept = generator.uniform(narrowest, 1, settings.batch_size)
        kept[generator.random(settings.batch_size) >= settings.narrowband_probability] = 1
        return np.asarray(kept, dtype=np.float32)

    def _equalizer(self, step: int) -> FloatArray | None:
        """Draw a smooth spectral gain for each clip of a step: (batch, mel bands)."""
        settings = self._parameters
        if not settings.equalizer_db:
            return None
        generator = self._generator(step, stream=2)
        knots = generator.uniform(-1, 1, (settings.batch_size, EQUALIZER_KNOTS)) * settings.equalizer_db
        place = np.linspace(0, EQUALIZER_KNOTS - 1, settings.preprocessing.mel_num_bins)
        decibels = np.array([np.interp(place, np.arange(EQUALIZER_KNOTS), gains) for gains in knots])
        return np.asarray(10 ** (decibels / 20), dtype=np.float32)

    def _masked(self, features: FloatArray, step: int) -> FloatArray:
        """Cut random stretches of time and frequency out of each clip's features, in place."""
        # A stream of its own: what was drawn for the audio does not change the masks.
        generator = self._generator(step, stream=1)
        _, frames, bands = features.shape
        for clip in features:
            mean = clip.mean(axis=0)
            for _ in range(self._parameters.spec_time_masks):
                begin, end = _stretch_of(frames, LARGEST_TIME_MASK, generator)
                clip[begin:end] = mean
            for _ in range(self._parameters.spec_frequency_masks):
                begin, end = _stretch_of(bands, LARGEST_FREQUENCY_MASK, generator)
                clip[:, begin:end] = mean[begin:end]
        return features


def plain_features(clips: Clips, samples: int, extract: FeatureExtractor, cache: Path | None = None) -> FloatArray:
    """Features of clips as they are: (clips, frames, features). This is how every clip is judged.

    Args:
        clips: the clips.
        samples: length of the network's window.
        extract: computes the features.
        cache: a folder for tables on the same audio. What was computed once lies there as a memory map, which is
            returned, and next to no memory is needed.
    """
    shape = (len(clips), extract.parameters.num_frames(samples), extract.parameters.num_features)
    blocks = _plain_blocks(clips, samples, extract)
    if cache is not None:
        path = cache / f"{_fingerprint(clips, samples, extract)}.npy"
        if not path.exists():
            write_array(path, shape, blocks)
        return np.asarray(np.load(path, mmap_mode="r"))
    features = np.empty(shape, dtype=np.float32)
    for first, block in zip(range(0, len(clips), PLAIN_CLIPS_AT_ONCE), blocks, strict=True):
        features[first : first + len(block)] = block
    return features


def _plain_blocks(clips: Clips, samples: int, extract: FeatureExtractor) -> Iterator[FloatArray]:
    begin = starts(clips, samples)
    for first in range(0, len(clips), PLAIN_CLIPS_AT_ONCE):
        rows = range(first, min(first + PLAIN_CLIPS_AT_ONCE, len(clips)))
        audio = np.stack([clips.around(row, int(begin[row]), samples) for row in rows])
        yield np.asarray(extract(audio), dtype=np.float32)


def _fingerprint(clips: Clips, samples: int, extract: FeatureExtractor) -> str:
    """Name all that decides the features, but for the content of the packs."""
    chosen = f"{FEATURES_VERSION} {samples} {extract.dtype} {extract.parameters.model_dump_json()}"
    digest = hashlib.sha256(chosen.encode())
    digest.update(np.stack([clips.pack, clips.offset, clips.length]).tobytes())
    return digest.hexdigest()


def low_pass(audio: FloatArray, kept: FloatArray) -> None:
    """Cut off the upper part of clips' spectra, in place: what was recorded and what a device hears differ in it too.

    Args:
        audio: (clips, samples).
        kept: the part of the spectrum that each clip keeps, (clips,).
    """
    narrow = np.flatnonzero(kept < 1)
    # All at once: the transform computes several clips in one vector.
    spectra = fft.rfft(audio[narrow])
    for spectrum, part in zip(spectra, kept[narrow], strict=True):
        spectrum[round(len(spectrum) * float(part)) :] = 0
    audio[narrow] = fft.irfft(spectra, audio.shape[1])


def _stretched(audio: FloatArray, places: FloatArray) -> FloatArray:
    """Resample by linear interpolation to as many samples as there are places, which count from 0."""
    fraction = places * np.float32((len(audio) - 1) / (len(places) - 1))
    whole = np.floor(fraction)
    fraction -= whole
    before = whole.astype(np.intp)
    # Clipped: rounding may put the last place on or beyond the last sample.
    left, right = audio.take(before, mode="clip"), audio[1:].take(before, mode="clip")
    right -= left
    fraction *= right
    fraction += left
    return fraction


def _stretch_of(length: int, largest: float, generator: np.random.Generator) -> tuple[int, int]:
    width = int(generator.integers(int(length * largest) + 1))
    begin = int(generator.integers(length - width + 1))
    return begin, begin + width
