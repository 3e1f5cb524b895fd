"""Networks and clips for tests, made in a moment from a seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgewise.spec.network import NETWORKS, NetworkSpec
from edgewise.spec.run import RunParameters
from edgewise.spec.synthesis import SynthesisParameters
from workers.engine import networks
from workers.engine.data import Clips
from workers.engine.speech import EspeakSynthesizer, speak_words
from workers.engine.weights import TrainedNetwork

LABELS = ("<silence>", "<unknown>", "up", "down", "left")
CLIP_SAMPLES = 8000


def random_network(network: str | NetworkSpec, seed: int = 0, **preprocessing: float) -> TrainedNetwork:
    """Make a network, offered or custom, with random weights, for half a second of audio."""
    spec = NETWORKS[network] if isinstance(network, str) else network
    parameters = RunParameters(**{"network": network, **spec.defaults, **preprocessing}).preprocessing
    frames = parameters.num_frames(CLIP_SAMPLES)
    model = networks.build(spec, frames, parameters.num_features, len(LABELS))
    generator = np.random.default_rng(seed)
    arrays = {place: _disturbed(array, place, generator) for place, array in sorted(networks.arrays_of(model).items())}
    return TrainedNetwork(spec, parameters, LABELS, CLIP_SAMPLES, arrays)


def _disturbed(array: npt.NDArray[np.float32], place: str, generator: np.random.Generator) -> npt.NDArray[np.float32]:
    """Let no weight stay at its initial value; features are scaled as after training."""
    if place == "input.mean":
        return generator.normal(-4, 1, array.shape).astype(np.float32)
    if place == "input.variance":
        return generator.uniform(2, 6, array.shape).astype(np.float32)
    if place.endswith("kernel"):
        return generator.normal(0, 1 / np.sqrt(len(array)), array.shape).astype(np.float32)
    return np.abs(array + generator.normal(0, 0.1, array.shape)).astype(np.float32)


def random_audio(clips: int, samples: int, seed: int = 0) -> npt.NDArray[np.float32]:
    """Make broadband audio (clips, samples): noise at levels from -40 to -10 dB."""
    generator = np.random.default_rng(seed)
    level = 10 ** (generator.uniform(-40, -10, (clips, 1)) / 20)
    return np.asarray(np.clip(level * generator.standard_normal((clips, samples)), -1, 1), dtype=np.float32)


def random_clips(folder: Path, count: int = 30, samples: int = CLIP_SAMPLES, seed: int = 0) -> Clips:
    """Write a pack of noise and return its clips, labelled in turn."""
    folder.mkdir(parents=True, exist_ok=True)
    pack = folder / "noise.pcm"
    pack.write_bytes(np.round(random_audio(count, samples, seed) * 32767).astype("<i2").tobytes())
    return Clips.of((pack,), [(0, row * samples, samples, row % len(LABELS)) for row in range(count)])


def spoken_clips(folder: Path, clips_per_word: int = 10) -> Clips:
    """Write a pack of spoken words and noises and return them with the labels of `LABELS`."""
    folder.mkdir(parents=True, exist_ok=True)
    pack, rows, end = folder / "speech.pcm", [], 0
    with pack.open("wb") as file:
        asked = SynthesisParameters(keywords=LABELS[2:], clips_per_word=clips_per_word, near_misses=[])
        for clip in speak_words(asked, EspeakSynthesizer()):
            label = 0 if clip.noise else LABELS.index(clip.label) if clip.label in LABELS else 1
            rows.append((0, end, len(clip.samples), label))
            file.write(clip.samples.astype("<i2").tobytes())
            end += len(clip.samples)
    return Clips.of((pack,), rows)
