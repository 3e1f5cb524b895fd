"""From scores to detections, and what a threshold costs: false accepts per hour against missed keywords.

The rule, which every device can follow with one score at a time (posterior smoothing: Chen, Parada & Heigold 2014,
"Small-footprint keyword spotting using deep neural networks", equation 1):

1. Softmax turns the scores (logits) of each frame into probabilities.
2. Each probability is averaged over the frames of the smoothing window, up to and with this one; at the begin of a
   stream over as many as there are.
3. The keyword with the largest average is detected where that average is at least the threshold. `<silence>` and
   `<unknown>` are no keywords.
4. For the refractory period after a detection nothing is detected. It is as long as a clip.

A window or period of x ms is round(x / stride) frames, and at least one.

The rule is judged on long audio (`streams.py`). A keyword is found where it is detected while the network's window
around it is heard, or up to `TOLERANCE_SECONDS` later. Everything else that is detected is a false accept: in noise, in
other words, twice in the same keyword; one keyword taken for another is a false accept and a miss.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import gammaincinv

from edgewise.spec.dataset import SILENCE, UNKNOWN
from edgewise.spec.detection import SMOOTHING_MS, THRESHOLDS, OperatingPoint
from edgewise.spec.run import AudioPreprocessing
from workers.engine.data import TrainingData
from workers.engine.evaluation import FloatArray, IntArray, probabilities
from workers.engine.features import FeatureExtractor
from workers.engine.inference import compiled_stream
from workers.engine.networks import fold
from workers.engine.streams import TOLERANCE_SECONDS, Streams, stream_features
from workers.engine.weights import TrainedNetwork

BoolArray = npt.NDArray[np.bool_]

STREAMS_AT_ONCE = 20
FALSE_ACCEPTS_PER_HOUR = 1.0
"""What the suggested point allows."""
MOST_MISSED = 0.5
"""Share of missed keywords above which the suggested point looks for something better."""


# --- the rule ---------------------------------------------------------------------------------------------------------


def frames_of(milliseconds: float, preprocessing: AudioPreprocessing) -> int:
    """Return how many frames a window or period lasts, at least one."""
    return max(1, round(milliseconds / preprocessing.window_stride_ms))


def keyword_outputs(labels: Sequence[str]) -> list[int]:
    """List the outputs that stand for keywords."""
    return [index for index, label in enumerate(labels) if label not in (SILENCE, UNKNOWN)]


def smooth(posteriors: FloatArray, frames: int) -> FloatArray:
    """Average probabilities (…, frames, labels) over the last `frames` frames."""
    sums = np.cumsum(posteriors, axis=-2, dtype=np.float64)
    sums[..., frames:, :] -= sums[..., :-frames, :].copy()
    heard = np.minimum(np.arange(1, sums.shape[-2] + 1), frames)
    return np.asarray(sums / heard[:, None])


def detect(averages: FloatArray, threshold: npt.ArrayLike, refractory: int) -> BoolArray:
    """Say at which frames something is detected.

    Args:
        averages: the largest smoothed probability of any keyword, (…, frames).
        threshold: a number, or an array that broadcasts with the axes before the frames.
        refractory: frames from a detection to the next possible one.
    """
    level = np.asarray(threshold)
    shape = np.broadcast_shapes(averages.shape[:-1], level.shape)
    detected = np.zeros((averages.shape[-1], *shape), dtype=bool)
    waiting = np.zeros(shape, dtype=np.int32)
    for frame in range(len(detected)):
        detected[frame] = (averages[..., frame] >= level) & (waiting == 0)
        waiting = np.where(detected[frame], refractory - 1, np.maximum(waiting - 1, 0))
    return np.moveaxis(detected, 0, -1)


# --- what it costs ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Curve:
    """Errors with one smoothing window, for each of `THRESHOLDS`."""

    smoothing_ms: int
    false_accepts: IntArray
    """(thresholds,)"""
    misses: IntArray
    """(thresholds, keywords)"""


@dataclass(frozen=True)
class Sweep:
    """Errors on long audio against threshold and smoothing window."""

    seconds: float
    """Of audio."""
    refractory_ms: float
    keywords: tuple[str, ...]
    spoken: IntArray
    """How often each keyword is in the audio."""
    keyword_clips: int
    """Recordings of keywords in it."""
    other_clips: int
    """Recordings of other words in it."""
    curves: tuple[Curve, ...]

    @property
    def hours(self) -> float:
        """Of audio."""
        return self.seconds / 3600

    def suggestion(self) -> OperatingPoint:
        """Choose the point with the fewest misses among those with at most one false accept an hour.

        Where that misses more than half of the keywords, the network cannot be so quiet: then the point with the fewest
        errors of both kinds. Of equal points the one with fewer false accepts, then the shorter window, then the middle
        of their thresholds, which is safest when the device hears other audio.
        """
        points = [
            (int(misses), int(accepts), curve.smoothing_ms, threshold)
            for curve in self.curves
            for misses, accepts, threshold in zip(
                curve.misses.sum(axis=1), curve.false_accepts, THRESHOLDS, strict=True
            )
        ]
        quiet = [point for point in points if point[1] <= FALSE_ACCEPTS_PER_HOUR * self.hours]
        if quiet and min(quiet)[0] <= MOST_MISSED * self.spoken.sum():
            best = min(quiet)[:3]
        else:
            best = min(points, key=lambda point: (point[0] + point[1], *point))[:3]
        equal = [point[3] for point in points if point[:3] == best]
        return OperatingPoint(threshold=equal[len(equal) // 2], smoothing_ms=best[2])

    def highest_rates(self, curve: Curve) -> FloatArray:
        """Return the false accepts per hour that are not exceeded, with 95 % confidence (Garwood 1936).

        None in three hours means fewer than one an hour. Clips that are heard again are no new evidence, so this holds
        for the words that the audio is made of.
        """
        return np.asarray(gammaincinv(curve.false_accepts + 1, 0.95) / self.hours)


def measure(
    network: TrainedNetwork, data: TrainingData, seed: int, report: Callable[[float, float], None]
) -> Sweep | None:
    """Run a network on long audio of the validation split; None where that has no keyword.

    Args:
        network: its streaming form is run.
        data: of its training.
        seed: of the audio.
        report: is told how many hours are done, and how many there are.
    """
    streams = Streams(data, seed)
    tally = _Tally(network, streams)
    if not tally.spoken.sum():
        return None
    hours = streams.seconds / 3600
    report(0.0, hours)
    for first, logits in _logits(network, streams):
        tally.add(first, probabilities(logits))
        report((first + len(logits)) / len(streams) * hours, hours)
    return tally.sweep()


def _logits(network: TrainedNetwork, streams: Streams) -> Iterator[tuple[int, FloatArray]]:
    """Yield the first stream of each group with the group's logits (streams, frames, labels)."""
    groups = -(-len(streams) // STREAMS_AT_ONCE)
    size = -(-len(streams) // groups)
    extract = FeatureExtractor(network.preprocessing)
    run = compiled_stream(fold(network.spec, network.arrays))
    for first in range(0, len(streams), size):
        members = range(first, min(first + size, len(streams)))
        features = np.stack([stream_features(streams.audio(stream), extract) for stream in members])
        # Filled up, so that the last group compiles nothing anew.
        filled = np.pad(features, ((0, size - len(members)), (0, 0), (0, 0)))
        yield first, np.asarray(run(filled))[: len(members)]


class _Tally:
    """Counts the errors of one network, group of streams by group."""

    def __init__(self, network: TrainedNetwork, streams: Streams) -> None:
        preprocessing = network.preprocessing
        self._outputs = keyword_outputs(network.labels)
        self._streams = streams
        self._refractory_ms = network.clip_milliseconds
        self._refractory = frames_of(self._refractory_ms, preprocessing)
        self._windows = [frames_of(window, preprocessing) for window in SMOOTHING_MS]
        self._keyword = np.full(len(network.labels), -1)
        self._keyword[self._outputs] = range(len(self._outputs))
        self._labels = network.labels
        self._heard = _frames_of_words(network, streams)
        spoken = self._keyword[streams.words.label]
        self.spoken = np.bincount(spoken[spoken >= 0], minlength=len(self._outputs))
        shape = (len(SMOOTHING_MS), len(THRESHOLDS))
        self._found = np.zeros((*shape, len(self._outputs)), dtype=np.int64)
        self._accepts = np.zeros(shape, dtype=np.int64)

    def add(self, first: int, posteriors: FloatArray) -> None:
        """Count in posteriors (streams, frames, labels) of streams from `first` on."""
        heard = self._heard[first : first + len(posteriors)]
        levels = np.asarray(THRESHOLDS)[:, None]
        for window, frames in enumerate(self._windows):
            averages = smooth(posteriors[..., self._outputs], frames)
            keyword = averages.argmax(axis=-1)
            detected = detect(averages.max(axis=-1), levels, self._refractory)
            self._count(window, detected, keyword, heard)

    def _count(self, window: int, detected: BoolArray, keyword: IntArray, heard: IntArray) -> None:
        """Count detections (thresholds, streams, frames) of keywords (streams, frames) while words were heard."""
        level, stream, frame = np.nonzero(detected)
        word = heard[stream, frame]
        spoken = self._keyword[self._streams.words.label[word]]
        right = (word >= 0) & (spoken == keyword[stream, frame])
        # Once for each word: a second detection of it is a false accept.
        found = np.unique(np.stack([level[right], word[right]]), axis=1)
        np.add.at(self._found[window], (found[0], self._keyword[self._streams.words.label[found[1]]]), 1)
        self._accepts[window] += np.bincount(level, minlength=len(THRESHOLDS))
        self._accepts[window] -= np.bincount(found[0], minlength=len(THRESHOLDS))

    def sweep(self) -> Sweep:
        """Return what was counted."""
        curves = tuple(
            Curve(smoothing_ms, self._accepts[window], self.spoken - self._found[window])
            for window, smoothing_ms in enumerate(SMOOTHING_MS)
        )
        keywords = tuple(self._labels[output] for output in self._outputs)
        rows, places = np.unique(self._streams.words.row, return_index=True)
        keyword_clips = int(np.sum(self._keyword[self._streams.words.label[places]] >= 0))
        return Sweep(
            self._streams.seconds, self._refractory_ms, keywords, self.spoken, keyword_clips, len(rows) - keyword_clips,
            curves,
        )  # fmt: skip


def _frames_of_words(network: TrainedNetwork, streams: Streams) -> IntArray:
    """Say which word a detection would find, (streams, frames): its number, or -1 for none.

    The score of a frame is there when its window has been heard.
    """
    preprocessing = network.preprocessing
    window, stride = preprocessing.window_samples, preprocessing.stride_samples
    words = np.full((len(streams), preprocessing.num_frames(streams.samples)), -1)
    tolerance = round(TOLERANCE_SECONDS * preprocessing.sample_rate)
    for word, (stream, begin) in enumerate(zip(streams.words.stream, streams.words.begin, strict=True)):
        end = begin + network.clip_samples + tolerance
        first, last = max(0, (begin - window) // stride + 1), (end - window) // stride
        words[stream, first : last + 1] = word
    return words
