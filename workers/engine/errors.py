"""Failures that people can understand and mend."""

from __future__ import annotations

from math import isfinite


class EngineError(Exception):
    """A failure with a code, a reason and a remedy for people."""

    def __init__(self, code: str, reason: str, remedy: str) -> None:
        super().__init__(f"{reason} {remedy}".strip())
        self.code = code
        self.reason = reason
        self.remedy = remedy


class UnusableFile(EngineError):
    """One file that cannot be used, where others can."""


class TrainingDiverged(EngineError):
    """The loss is no number any more, or grew without bound."""

    def __init__(self, step: int, loss: float = float("nan")) -> None:
        exploded, broken = f"was {loss:,.0f}, many times that of guessing", "was no finite number any more"
        super().__init__(
            "diverged",
            f"Training diverged: at step {step:,} the loss {exploded if isfinite(loss) else broken}.",
            "Choose a smaller learning rate or a longer warm-up. The best weights so far are kept.",
        )


class OutOfMemory(EngineError):
    """The network and a batch do not fit into memory."""

    def __init__(self, batch_size: int) -> None:
        super().__init__(
            "out-of-memory",
            f"A batch of {batch_size:,} clips does not fit into this machine's memory.",
            "Choose a smaller batch size or network.",
        )
