"""Features of one-second clips, beside the client's device code and librosa, on one core."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.signal import lfilter

from edgewise.spec.run import AudioPreprocessing
from workers.bench.figures import Figure
from workers.bench.measure import Timing, alternate, times_as_fast
from workers.bench.peers import client_features, librosa_features
from workers.engine.features import FeatureExtractor

CLIPS = 16
BATCHES = 20
ROUNDS = 15


def measure() -> list[Figure]:
    """Time batches of 16 clips with the default parameters; librosa takes the clips one by one."""
    parameters = AudioPreprocessing()
    audio = speech_like(CLIPS, parameters.sample_rate)
    ours, client, librosa = FeatureExtractor(parameters), client_features(parameters), librosa_features(parameters)
    timings = alternate(
        {
            "edgewise": lambda: [ours(audio) for _ in range(BATCHES)],
            "np_mfcc": lambda: [client(audio) for _ in range(BATCHES)],
            "librosa": lambda: [librosa(clip) for _ in range(BATCHES) for clip in audio],
        },
        ROUNDS,
    )
    return [
        Figure("vs_np_mfcc", times_as_fast(timings["edgewise"], timings["np_mfcc"]), "times", at_least=2),
        Figure("vs_librosa", times_as_fast(timings["edgewise"], timings["librosa"]), "times", at_least=5),
        *(_per_clip(name, timing) for name, timing in timings.items()),
    ]


def speech_like(clips: int, samples: int) -> npt.NDArray[np.float32]:
    """Make audio (clips, samples) like speech: its spectrum falls, and it swells and pauses four times in each clip.

    As 16-bit samples it packs to two thirds, as recordings of words do.
    """
    generator = np.random.default_rng(0)
    noise = lfilter([1.0], [1.0, -0.9], generator.standard_normal((clips, samples)))
    phase = 4 * np.arange(samples) / samples + generator.random((clips, 1))
    level = (0.5 + 0.5 * np.sin(2 * np.pi * phase)) ** 3
    return np.asarray(0.03 * level * noise, dtype=np.float32)


def _per_clip(name: str, timing: Timing) -> Figure:
    return Figure(f"{name}_us_per_clip", timing.median / (BATCHES * CLIPS) * 1e6, "µs", timing.spread)
