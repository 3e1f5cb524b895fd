"""What a training run tells its caller while it works."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Compiling:
    """The training step is being compiled, which takes some seconds and happens once."""


@dataclass(frozen=True)
class Resumed:
    """The run goes on after `step`; what was reported of later steps is void."""

    step: int


@dataclass(frozen=True)
class TrainingProgress:
    """Means over the steps since the last such event, up to and with `step`."""

    step: int
    loss: float
    accuracy: float
    learning_rate: float
    steps_per_second: float


@dataclass(frozen=True)
class Validated:
    """A measurement on the validation clips; `best` says whether its weights are now the ones to deploy."""

    step: int
    loss: float
    accuracy: float
    best: bool


@dataclass(frozen=True)
class Saving:
    """A checkpoint is about to be written. What the caller keeps of this run must be written before it is."""

    step: int


@dataclass(frozen=True)
class CheckpointSaved:
    """From here the run can go on."""

    step: int


@dataclass(frozen=True)
class Note:
    """A remark for the log."""

    text: str


Event = Compiling | Resumed | TrainingProgress | Validated | Saving | CheckpointSaved | Note
