"""Checkpoints: everything that a run needs to go on as if it had never stopped."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workers.engine.files import write_atomically

FILE = "checkpoint.npz"
HEADER = "header"


@dataclass
class Position:
    """Where a run stands."""

    step: int = 0
    best_step: int = -1
    best_accuracy: float = -1.0
    best_loss: float = float("inf")
    without_improvement: int = 0
    seconds: float = 0.0


def save(folder: Path, position: Position, arrays: Sequence[npt.NDArray[Any]]) -> None:
    """Write a checkpoint: the position and all variables (weights, statistics, optimiser, averages, random state)."""
    buffer = io.BytesIO()
    header = np.frombuffer(json.dumps(asdict(position)).encode(), dtype=np.uint8)
    np.savez(buffer, allow_pickle=False, **{HEADER: header}, **{f"{i:05}": array for i, array in enumerate(arrays)})  # type: ignore[arg-type]
    write_atomically(folder / FILE, buffer.getvalue())


def load(folder: Path) -> tuple[Position, list[npt.NDArray[Any]]] | None:
    """Read the checkpoint in `folder`, or return None where there is none."""
    path = folder / FILE
    if not path.exists():
        return None
    with np.load(path, allow_pickle=False) as stored:
        position = Position(**json.loads(stored[HEADER].tobytes()))
        return position, [stored[name] for name in sorted(stored.files) if name != HEADER]
