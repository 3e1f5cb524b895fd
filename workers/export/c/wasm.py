"""The C library as WebAssembly, run by Node with the runner that lies beside it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from workers.export.c.library import sizes
from workers.export.c.outside import run_program

FloatArray = npt.NDArray[np.float32]

NODE = "node"
PROGRAM = Path(__file__).parent / "files" / "wasm" / "run_clips.mjs"


def why_not() -> str | None:
    """Say why it cannot be run here; None where it can."""
    return None if shutil.which(NODE) else "Node is not installed"


def load(folder: Path) -> Callable[[FloatArray], FloatArray]:
    """Return what runs it: audio of whole clips (clips, samples) → logits (clips, labels)."""
    return lambda audio: run(folder, audio)[1]


def load_features(folder: Path) -> Callable[[FloatArray], FloatArray]:
    """Return what runs it: audio of whole clips (clips, samples) → features (clips, frames, features)."""
    return lambda audio: run(folder, audio)[0]


def run(folder: Path, audio: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Run whole clips.

    Args:
        folder: of the artifact.
        audio: (clips, samples).

    Returns:
        Features (clips, frames, features) and logits (clips, labels).

    Raises:
        TakesTooLong: Node does not end in time.
        EngineError: it fails.
    """
    numbers = sizes(folder / "src")
    features, labels = numbers["FEATURES"], numbers["LABELS"]
    with tempfile.TemporaryDirectory() as name:
        here = Path(name)
        # Node takes a file for a module by its name, and browsers take any name.
        shutil.copyfile(folder / "edgewise_runner.js", here / "edgewise_runner.mjs")
        shutil.copyfile(folder / "lib" / "wasm" / "edgewise.wasm", here / "edgewise.wasm")
        shutil.copyfile(PROGRAM, here / PROGRAM.name)
        (here / "clips.raw").write_bytes(audio.astype("<f4").tobytes())
        command = [NODE, PROGRAM.name, str(audio.shape[1]), str(features), str(labels)]
        run_program(command, here)
        rows = np.fromfile(here / "results.raw", "<f4").reshape(len(audio), -1)
    return rows[:, :-labels].reshape(len(audio), -1, features), rows[:, -labels:]
