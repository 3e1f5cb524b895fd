"""Short descriptions of clips that stay the same whatever the level, the sample rate and the place of the word.

Both come of one log-mel spectrogram, which ends at 3.7 kHz so that clips of every rate from 8 kHz on are alike in it:

- the *alignment* describes the sound around its centre of energy, where a shifted copy has the same sound; low
  orders of a DCT over time and bands, so that lossy coding and fractions of a frame hardly move it.
- the *word* describes the sound from its first to its last loud frame, stretched to one length, as cepstra.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby

import numpy as np
import numpy.typing as npt

from edgewise.spec.run import AudioPreprocessing
from workers.engine.audio import Int16Array, resample
from workers.engine.data import loudest
from workers.engine.features import FeatureExtractor, cosine_transform

Float32Array = npt.NDArray[np.float32]
Float16Array = npt.NDArray[np.float16]

WINDOW_MS, STRIDE_MS = 32, 16
BANDS = 32
LOWEST_HERTZ, HIGHEST_HERTZ = 60, 3700
DECIBEL = 20 / np.log(10)
"""Of one unit of the natural logarithm of a magnitude."""

LONGEST_HEARD_SECONDS = 3
LOWEST_RATE, HIGHEST_RATE, COMMON_RATE = 8000, 48_000, 16_000
STEP_SECONDS = 0.25
"""Clips are padded to multiples of this, so that many can be computed together."""

ALIGNED_FRAMES = 24
ALIGNED_STEP = 2.0
ALIGNED_TIMES, ALIGNED_BANDS = 6, 6
ALIGNED_RANGE_DB = 45.0

WORD_FRAMES = 20
WORD_CEPSTRA = 16
WORD_RANGE_DB = 60.0
LOUD_DB = 35.0
"""A frame belongs to the word if it is at most this much quieter than the loudest."""
DURATION_WEIGHT = 3.0

ALIGNMENT_SIZE = ALIGNED_TIMES * ALIGNED_BANDS
WORD_SIZE = WORD_FRAMES * WORD_CEPSTRA + 1


@dataclass(frozen=True)
class Signatures:
    """Descriptions of clips, a row each."""

    alignment: Float32Array
    """(clips, ALIGNMENT_SIZE)"""
    word: Float16Array
    """(clips, WORD_SIZE)"""

    @classmethod
    def empty(cls, clips: int) -> Signatures:
        """Return rows of zeros."""
        return cls(np.zeros((clips, ALIGNMENT_SIZE), np.float32), np.zeros((clips, WORD_SIZE), np.float16))


def heard(samples: Int16Array, rate: int) -> Int16Array:
    """Return the part of a clip that is compared: its loudest seconds, if it is long."""
    longest = LONGEST_HEARD_SECONDS * rate
    if len(samples) <= longest:
        return samples
    begin = loudest(samples, longest)
    return samples[begin : begin + longest]


def describe(clips: Sequence[tuple[Int16Array, int]]) -> Signatures:
    """Describe clips, given as samples and their rate. Of long clips only the loudest part counts."""
    found = Signatures.empty(len(clips))
    for rate, rows, audio in _batches(clips):
        spectra = _extractor(rate)(audio)
        found.alignment[rows], found.word[rows] = _alignments(spectra), _words(spectra)
    return found


def _batches(clips: Iterable[tuple[Int16Array, int]]) -> Iterator[tuple[int, list[int], Float32Array]]:
    """Give clips of one rate and about one length together, in [-1, 1], with half a window of silence around."""
    ready = [_at_usual_rate(heard(samples, rate), rate) for samples, rate in clips]
    steps = [int(np.ceil(len(samples) / (STEP_SECONDS * rate))) for samples, rate in ready]
    order = sorted(range(len(ready)), key=lambda row: (ready[row][1], steps[row]))
    for (rate, step), group in groupby(order, key=lambda row: (ready[row][1], steps[row])):
        rows = list(group)
        margin = WINDOW_MS * rate // 1000
        audio = np.zeros((len(rows), int(step * STEP_SECONDS * rate) + 2 * margin), np.float32)
        for place, row in enumerate(rows):
            samples = ready[row][0]
            audio[place, margin : margin + len(samples)] = samples
        audio /= 32768
        yield rate, rows, audio


def _at_usual_rate(samples: Int16Array, rate: int) -> tuple[Int16Array, int]:
    if LOWEST_RATE <= rate <= HIGHEST_RATE:
        return samples, rate
    return resample(samples, rate, COMMON_RATE), COMMON_RATE


@lru_cache
def _extractor(rate: int) -> FeatureExtractor:
    return FeatureExtractor(
        AudioPreprocessing(
            window_size_ms=WINDOW_MS, window_stride_ms=STRIDE_MS, mel_num_bins=BANDS, dct_num_features=0,
            mel_lower_edge_hertz=LOWEST_HERTZ, mel_upper_edge_hertz=HIGHEST_HERTZ, sample_rate=rate, log_epsilon=1e-6,
        )
    )  # fmt: skip


def _alignments(spectra: npt.NDArray[np.floating]) -> Float32Array:
    """Describe log-mel spectra (clips, frames, bands) around their centres of energy."""
    energy = np.exp(2 * spectra).sum(axis=2)
    centre = energy @ np.arange(energy.shape[1]) / energy.sum(axis=1)
    around = ALIGNED_STEP * (np.arange(ALIGNED_FRAMES) - (ALIGNED_FRAMES - 1) / 2)
    padded = np.pad(_above_floor(spectra, ALIGNED_RANGE_DB), ((0, 0), (1, 1), (0, 0)))
    patch = _at_times(padded, centre[:, None] + around + 1)
    over_time = cosine_transform(ALIGNED_FRAMES, ALIGNED_TIMES).T
    over_bands = cosine_transform(BANDS, ALIGNED_BANDS)
    return np.asarray(over_time @ patch @ over_bands, np.float32).reshape(len(spectra), -1)


def _words(spectra: npt.NDArray[np.floating]) -> Float16Array:
    """Describe what is said in log-mel spectra (clips, frames, bands)."""
    energy = np.log(np.exp(2 * spectra).sum(axis=2)) * DECIBEL / 2
    loud = energy > energy.max(axis=1, keepdims=True) - LOUD_DB
    first = loud.argmax(axis=1)
    last = loud.shape[1] - 1 - loud[:, ::-1].argmax(axis=1)
    times = first[:, None] + (last - first)[:, None] * np.linspace(0, 1, WORD_FRAMES)
    frames = _at_times(_above_floor(spectra, WORD_RANGE_DB), times)
    # Half of the mean spectrum: it is as much the microphone's and the room's as it is the word's.
    cepstra = (frames - frames.mean(axis=1, keepdims=True) / 2) @ cosine_transform(BANDS, WORD_CEPSTRA)
    duration = DURATION_WEIGHT * np.log(last - first + 1)
    return np.concatenate([cepstra.reshape(len(spectra), -1), duration[:, None]], axis=1).astype(np.float16)


def _above_floor(spectra: npt.NDArray[np.floating], decibels: float) -> npt.NDArray[np.floating]:
    """Return how far each value lies above a floor so many decibels below the clip's loudest."""
    reach = decibels / DECIBEL
    return np.asarray(np.maximum(spectra - spectra.max(axis=(1, 2), keepdims=True) + reach, 0))


def _at_times(spectra: npt.NDArray[np.floating], times: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """Interpolate spectra (clips, frames, bands) at fractional frames (clips, times); the edges go on for ever."""
    times = np.clip(times, 0, spectra.shape[1] - 1)
    before = times.astype(int)
    after = np.minimum(before + 1, spectra.shape[1] - 1)
    weight = (times - before)[:, :, None]
    row = np.arange(len(spectra))[:, None]
    return np.asarray(spectra[row, before] * (1 - weight) + spectra[row, after] * weight)
