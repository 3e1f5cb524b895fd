"""Tones as words: data that a tiny network learns in seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgewise.spec.network import DenseStage, LMUStage, NetworkSpec
from edgewise.spec.run import RunParameters
from workers.engine.data import Clips, TrainingData, cut_silence, generated_noise, join

RATE = 8000
SAMPLES = 2000
LABELS = ("<silence>", "low", "middle", "high")
TONES_HZ = (300, 900, 2400)
TINY = NetworkSpec(
    stages=[
        DenseStage(units=8),
        LMUStage(order=3, theta=4, units=12, projection=8, residual=True, stride=2),
        LMUStage(order=3, theta=5, units=12, activation="swish"),
    ]
)


def run_parameters(**changes: Any) -> RunParameters:
    """Make the parameters of a run that takes seconds."""
    settings = {
        "network": TINY, "steps": 60, "validation_interval": 20, "batch_size": 16, "learning_rate": 0.02,
        "ema_decay": 0.9, "sample_rate": RATE, "window_size_ms": 32, "mel_num_bins": 12, "dct_num_features": 0,
        "mel_upper_edge_hertz": 4000, "shift_ms": 20, "noise_snr_min_db": 10,
    }  # fmt: skip
    return RunParameters(**settings | changes)


def write_pack(path: Path, recordings: list[npt.NDArray[Any]], labels: list[int] | None = None) -> Clips:
    """Write recordings one after the other and return them as clips."""
    path.write_bytes(np.concatenate(recordings).astype("<i2").tobytes())
    lengths = [len(recording) for recording in recordings]
    offsets = np.cumsum([0, *lengths[:-1]])
    table = zip(offsets, lengths, labels or [0] * len(lengths), strict=True)
    return Clips.of((path,), [(0, *row) for row in table])


def tones(folder: Path, clips_per_word: int = 12, seed: int = 0) -> TrainingData:
    """Make the data of a run: clips of tones in noise, with silence cut from generated noise."""
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(seed)
    recordings, labels = [], []
    for _ in range(3 * clips_per_word):
        for word, frequency in enumerate(TONES_HZ):
            recordings.append(_tone(frequency * generator.uniform(0.9, 1.1), generator))
            labels.append(word + 1)
    table = write_pack(folder / "words.pcm", recordings, labels)
    noise = generated_noise(folder, RATE)
    silence = cut_silence(noise, dict.fromkeys(("train", "validation", "test"), clips_per_word), 0, SAMPLES, seed)
    parts = np.split(np.arange(len(table)), 3)
    words = dict(zip(("train", "validation", "test"), map(table.select, parts), strict=True))
    splits = {name: join(words[name], silence[name]) for name in words}
    return TrainingData(LABELS, RATE, SAMPLES, **splits, noise=noise)


def _tone(frequency: float, generator: np.random.Generator) -> npt.NDArray[Any]:
    time = np.arange(SAMPLES) / RATE
    tone = 0.2 * np.sin(2 * np.pi * (frequency * time + generator.random()))
    return np.round(32767 * (tone + 0.01 * generator.standard_normal(SAMPLES)))
