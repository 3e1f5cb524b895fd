"""Trained networks as files: named arrays and one JSON header, in numpy's own format, without pickle or TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgewise.spec.network import NetworkSpec
from edgewise.spec.run import AudioPreprocessing
from workers.engine.errors import EngineError
from workers.engine.files import decode, encode, write_atomically

BEST = "best.npz"
"""Name of the best weights in a run's working folder."""


@dataclass(frozen=True)
class TrainedNetwork:
    """A trained network with everything that is needed to run it."""

    spec: NetworkSpec
    preprocessing: AudioPreprocessing
    labels: tuple[str, ...]
    clip_samples: int
    arrays: dict[str, npt.NDArray[np.float32]]

    @property
    def clip_milliseconds(self) -> float:
        """Length of a clip; after a detection a device waits for as long."""
        return 1000 * self.clip_samples / self.preprocessing.sample_rate

    def to_bytes(self) -> bytes:
        """Encode: the same network always gives the same bytes."""
        header = {
            "spec": self.spec.model_dump(),
            "preprocessing": self.preprocessing.model_dump(),
            "labels": self.labels,
            "clip_samples": self.clip_samples,
        }
        return encode(header, self.arrays)

    def save(self, path: Path) -> None:
        """Write the file; it appears under its name when it is whole."""
        write_atomically(path, self.to_bytes())

    @classmethod
    def load(cls, path: Path) -> TrainedNetwork:
        """Read a file that `save` wrote.

        Raises:
            EngineError: the file is damaged.
        """
        try:
            header, arrays = decode(path)
            return cls(
                spec=NetworkSpec.model_validate(header["spec"]),
                preprocessing=AudioPreprocessing.model_validate(header["preprocessing"]),
                labels=tuple(header["labels"]),
                clip_samples=header["clip_samples"],
                arrays=arrays,
            )
        except (OSError, ValueError, KeyError) as error:
            raise EngineError(
                "damaged-weights", f"The weights {path.name} cannot be read: {error}.", "Train the run again."
            ) from error


@dataclass(frozen=True)
class Transfer:
    """Weights for a new run, taken from an earlier one."""

    arrays: dict[str, npt.NDArray[np.float32]]
    kept_labels: tuple[str, ...]
    new_labels: tuple[str, ...]

    def describe(self) -> str:
        """Say in one sentence what was kept."""
        if not self.new_labels:
            return "All weights are kept."
        return f"All weights are kept but the readout of the new labels: {', '.join(self.new_labels)}."


def transfer(earlier: TrainedNetwork, labels: tuple[str, ...]) -> Transfer:
    """Fit an earlier run's weights to other labels: readout columns of labels that both have are kept.

    Columns of new labels start as the mean of all earlier ones, so that no label is preferred at the start.
    """
    old = {label: index for index, label in enumerate(earlier.labels)}
    arrays = dict(earlier.arrays)
    for name in ("readout.kernel", "readout.bias"):
        before = earlier.arrays[name]
        mean = before.mean(axis=-1)
        arrays[name] = np.stack([before[..., old[label]] if label in old else mean for label in labels], axis=-1)
    kept = tuple(label for label in labels if label in old)
    return Transfer(arrays, kept, tuple(label for label in labels if label not in old))
