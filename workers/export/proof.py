"""Proof that a form computes what was trained: the exported files themselves are run on test clips."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from workers.engine.data import Clips, starts
from workers.engine.errors import EngineError
from workers.engine.evaluation import Report, judge
from workers.engine.features import FeatureExtractor
from workers.engine.inference import infer
from workers.engine.weights import TrainedNetwork
from workers.export.forms import FloatArray, Form

BOUND = 1e-3
"""Largest difference of a score (logit) to the trained network that is let through."""

MOST_CLIPS = 500
AT_ONCE = 50


@dataclass(frozen=True)
class Evidence:
    """Test clips, and what the trained network makes of them."""

    audio: FloatArray
    """(clips, samples)"""
    truth: npt.NDArray[np.int64]
    """(clips,)"""
    logits: FloatArray
    """(clips, labels)"""
    available: int
    """Test clips that there are; these may be a part of them."""

    @classmethod
    def gather(cls, trained: TrainedNetwork, test: Clips) -> Evidence:
        """Take at most 500 test clips, evenly from the whole split."""
        clips = test.select(_evenly(len(test), MOST_CLIPS))
        begin = starts(clips, trained.clip_samples)
        audio = np.stack([clips.around(row, int(begin[row]), trained.clip_samples) for row in range(len(clips))])
        return cls(audio, clips.label, infer(trained, clips), len(test))

    def sample(self, count: int) -> Evidence:
        """Take `count` of the clips, evenly."""
        rows = _evenly(len(self.audio), count)
        return Evidence(self.audio[rows], self.truth[rows], self.logits[rows], self.available)

    def features(self, trained: TrainedNetwork) -> FloatArray:
        """Features by the definition, in float64: (clips, frames, features)."""
        return FeatureExtractor(trained.preprocessing, np.float64)(self.audio).astype(np.float32)


@dataclass(frozen=True)
class Proof:
    """What a form makes of the evidence."""

    form: str
    report: Report
    largest_difference: float
    """Of any score of any clip to the trained network's."""
    agreement: float
    """Share of clips that get the trained network's label."""


def prove(form: Form, folder: Path, trained: TrainedNetwork, evidence: Evidence) -> Proof:
    """Run the form's files in `folder` on the evidence.

    Raises:
        EngineError: a score differs from the trained network's by more than `BOUND`, or is no number.
    """
    run = form.load(folder)
    logits = np.concatenate(
        [run(evidence.audio[first : first + AT_ONCE]) for first in range(0, len(evidence.audio), AT_ONCE)]
    )
    proof = Proof(
        form=form.title,
        report=judge(logits, evidence.truth, trained.labels),
        largest_difference=float(np.abs(logits - evidence.logits).max()),
        agreement=float(np.mean(logits.argmax(axis=1) == evidence.logits.argmax(axis=1))),
    )
    # Written so that a difference that is no number fails too.
    if not proof.largest_difference <= BOUND:
        raise EngineError(
            "export-differs",
            f"The {form.title} does not compute what was trained: its scores differ by {proof.largest_difference:.2g} "
            f"where {BOUND:g} is allowed, and it agrees on {proof.agreement:.1%} of {len(logits):,} test clips.",
            "This is a fault of Edgewise, so no artifact was made: choose another format, and report it with the log.",
        )
    return proof


def _evenly(available: int, wanted: int) -> npt.NDArray[np.int64]:
    return np.linspace(0, available - 1, min(available, wanted)).round().astype(np.int64)
