"""Checkpoints: everything that a run needs to go on as if it had never stopped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt

from workers.engine.errors import EngineError
from workers.engine.files import decode, encode, write_atomically

FILE = "checkpoint.npz"


@dataclass
class Position:
    """Where a run stands."""

    step: int = 0
    best_step: int = -1
    best_accuracy: float = -1.0
    best_loss: float = float("inf")
    without_improvement: int = 0
    interval_loss: float = 0.0
    """Sum of the losses of all steps since the last validation."""
    seconds: float = 0.0


def save(folder: Path, position: Position, arrays: Sequence[npt.NDArray[Any]]) -> None:
    """Write a checkpoint: the position and all variables (weights, statistics, optimiser, averages, random state)."""
    named = {f"{index:05}": array for index, array in enumerate(arrays)}
    write_atomically(folder / FILE, encode(asdict(position), named))


def load(folder: Path) -> tuple[Position, list[npt.NDArray[Any]]] | None:
    """Read the checkpoint in `folder`, or return None where there is none.

    Raises:
        EngineError: it is damaged.
    """
    path = folder / FILE
    if not path.exists():
        return None
    try:
        position, arrays = decode(path)
    except (ValueError, OSError) as error:
        raise EngineError(
            "damaged-checkpoint", f"The run's checkpoint cannot be read: {error}.", "Train the run again."
        ) from error
    return Position(**position), list(arrays.values())
