"""The memory that a run takes when it has many clips."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from workers.bench.accuracy import parameters_of
from workers.bench.features import speech_like
from workers.bench.figures import Figure
from workers.bench.measure import peak_resident_bytes
from workers.engine.audio import PackWriter
from workers.engine.data import Clips, TrainingData, generated_noise
from workers.engine.training import train

NETWORK = "kws-large"
RATE = 16000
DIFFERENT = 1000
LABELS = tuple(f"word{index}" for index in range(10))
STEPS = 100


def measure(clips: int) -> list[Figure]:
    """Train on so many clips of one second with the defaults, and return the most that this process held at once.

    That counts Python, TensorFlow and what the kernel maps into the process. Each clip has a place of its own on disk.
    """
    parameters = parameters_of(NETWORK, steps=STEPS, validation_interval=STEPS)
    with tempfile.TemporaryDirectory(prefix="edgewise-bench-") as name:
        folder = Path(name)
        train(parameters, repeated(clips, folder), folder / "run", lambda event: None, lambda: False)
    return [
        Figure("peak_resident", peak_resident_bytes() / 1e9, "GB", at_most=4),
        Figure("audio", clips * RATE * 2 / 1e9, "GB"),
    ]


def repeated(clips: int, folder: Path) -> TrainingData:
    """Write as many clips as asked for, made of `DIFFERENT` ones, and divide them 8 : 1 : 1."""
    audio = np.round(32767 * speech_like(min(clips, DIFFERENT), RATE)).astype("<i2")
    with PackWriter(folder) as pack:
        offsets = [pack.append(audio[index % DIFFERENT]) for index in range(clips)]
    table = Clips.of((pack.path,), [(0, offset, RATE, row % len(LABELS)) for row, offset in enumerate(offsets)])
    tenth = np.arange(clips) // len(LABELS) % 10
    splits = {"train": tenth < 8, "validation": tenth == 8, "test": tenth == 9}
    parts = {split: table.select(np.flatnonzero(rows)) for split, rows in splits.items()}
    return TrainingData(LABELS, RATE, RATE, **parts, noise=generated_noise(folder, RATE))
