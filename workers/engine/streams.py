"""Long audio for judging a detector: validation clips at known places over background noise.

A device hears hours of noise and speech between two keywords, and clips of one word say little about them. So streams
of a minute are joined from what training did not hear: background noise throughout, and on it the keywords and other
words of the validation split, with gaps. They are a pure function of (data, seed).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgewise.spec.dataset import SILENCE, UNKNOWN
from edgewise.spec.run import AudioPreprocessing
from workers.engine.audio import QUIETEST_RMS, rms
from workers.engine.data import Int64Array, TrainingData, starts, stretches
from workers.engine.features import FeatureExtractor

FloatArray = npt.NDArray[np.float32]

STREAM_SECONDS = 60
MOST_HOURS = 3.0
"""No false accept in so much audio means less than one an hour (95 %)."""
MOST_REPEATS = 10
"""Times that one clip is heard at most, each time on other noise: more would say little more."""
TOLERANCE_SECONDS = 1.0
"""How long after a word it may still be detected: half a second of smoothing, and the memory of the network."""
GAP_SECONDS = (TOLERANCE_SECONDS, 3.0)
"""Between two words, so that no detection can be meant for both."""
BACKGROUND_SNR_DB = (10.0, 30.0)
"""Level of the median word over a stream's noise: from a busy kitchen to a quiet room. The same for all runs, so that
they can be compared."""
FRAMES_AT_ONCE = 50


@dataclass(frozen=True)
class Words:
    """The words in the streams, one row each, in the order in which they are heard."""

    stream: Int64Array
    begin: Int64Array
    """First sample of the network's window around the word, from the begin of the stream."""
    row: Int64Array
    """Of the validation clips."""
    label: Int64Array


class Streams:
    """Streams of equal length with the words in them.

    Args:
        data: of the run; only the validation split and its share of the noise are heard.
        seed: of order, places and noise.
    """

    def __init__(self, data: TrainingData, seed: int) -> None:
        self._clips, self._noise, self._seed = data.validation, stretches(data.noise, "validation"), seed
        self._starts = starts(data.validation, data.clip_samples)
        self._rate, self._window = data.sample_rate, data.clip_samples
        self._level = self._median_level(data.labels)
        self.samples = STREAM_SECONDS * data.sample_rate
        """Of each stream."""
        self.words = self._place(_order(data, np.random.default_rng([seed, 0])), np.random.default_rng([seed, 1]))

    def __len__(self) -> int:
        return int(self.words.stream[-1]) + 1 if len(self.words.stream) else 1

    @property
    def seconds(self) -> float:
        """Of all streams together."""
        return float(len(self) * STREAM_SECONDS)

    def audio(self, stream: int) -> FloatArray:
        """Return the samples of one stream, in [-1, 1]."""
        audio = self._background(stream)
        for word in np.flatnonzero(self.words.stream == stream):
            row, begin = int(self.words.row[word]), int(self.words.begin[word])
            audio[begin : begin + self._window] += self._clips.around(row, int(self._starts[row]), self._window)
        return np.clip(audio, -1, 1)

    def _background(self, stream: int) -> FloatArray:
        """Noise of one recording for a whole stream, forth and back, so that there is no seam to be heard."""
        row = stream % len(self._noise)
        noise = self._noise.around(row, 0, max(1, min(int(self._noise.length[row]), self.samples)))
        ratio = np.random.default_rng([self._seed, 2, stream]).uniform(*BACKGROUND_SNR_DB)
        noise *= np.float32(self._level / max(rms(noise), QUIETEST_RMS) * 10 ** (-ratio / 20))
        return np.pad(noise, (0, self.samples - len(noise)), mode="symmetric")

    def _median_level(self, labels: tuple[str, ...]) -> float:
        words = np.flatnonzero([labels[label] != SILENCE for label in self._clips.label])
        return float(np.median([rms(self._clips.samples(int(row)) / 32768) for row in words])) if len(words) else 0.1

    def _place(self, rows: Int64Array, generator: np.random.Generator) -> Words:
        """Give each word a place: after a gap in the present stream, or in the next one where that is full."""
        places, stream, end = [], 0, 0
        last = self.samples - self._window - round(GAP_SECONDS[0] * self._rate)
        for gap in generator.uniform(*GAP_SECONDS, len(rows)):
            begin = end + round(gap * self._rate)
            if begin > last:
                stream, begin = stream + 1, round(gap * self._rate)
            places.append((stream, begin))
            end = begin + self._window
        table = np.asarray(places, dtype=np.int64).reshape(-1, 2)
        return Words(table[:, 0], table[:, 1], rows, self._clips.label[rows])


def stream_features(audio: FloatArray, extract: FeatureExtractor) -> FloatArray:
    """Compute the features (frames, features) of a stream (samples,), some frames at a time."""
    parameters: AudioPreprocessing = extract.parameters
    frames, step = parameters.num_frames(len(audio)), FRAMES_AT_ONCE * parameters.stride_samples
    length = step - parameters.stride_samples + parameters.window_samples
    pieces = -(-frames // FRAMES_AT_ONCE)
    whole = np.pad(audio, (0, max(0, (pieces - 1) * step + length - len(audio))))
    windows = np.lib.stride_tricks.sliding_window_view(whole, length)[::step][:pieces]
    return np.concatenate(list(extract(windows)))[:frames].astype(np.float32, copy=False)


def _order(data: TrainingData, generator: np.random.Generator) -> Int64Array:
    """Draw which clips are heard, and in which order: as many other words as keywords, as far as there are some."""
    label = data.validation.label
    others = np.flatnonzero(label == data.labels.index(UNKNOWN)) if UNKNOWN in data.labels else np.array([], np.int64)
    silence = data.labels.index(SILENCE) if SILENCE in data.labels else -1
    keywords = np.setdiff1d(np.flatnonzero(label != silence), others)
    seconds = data.clip_samples / data.sample_rate + sum(GAP_SECONDS) / 2
    most = int(MOST_HOURS * 3600 / seconds)
    count = min(MOST_REPEATS * len(others), most // 2)
    rows = [_repeated(keywords, min(MOST_REPEATS * len(keywords), most - count), generator)]
    rows.append(_repeated(others, count, generator))
    return generator.permutation(np.concatenate(rows))


def _repeated(rows: Int64Array, count: int, generator: np.random.Generator) -> Int64Array:
    """Draw `count` of the rows, each about equally often."""
    rounds = [generator.permutation(rows) for _ in range(-(-count // max(1, len(rows))))]
    return np.concatenate([np.array([], np.int64), *rounds])[:count].astype(np.int64)
