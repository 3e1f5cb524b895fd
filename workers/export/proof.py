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
from workers.export.forms import Bound, FloatArray, Form

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
        return cls(sample(clips, trained.clip_samples, MOST_CLIPS), clips.label, infer(trained, clips), len(test))

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
    bound: Bound
    report: Report
    largest_difference: float
    """Of any score of any clip to the trained network's."""
    agreement: float
    """Share of clips that get the trained network's label."""
    lost_accuracy: float
    """Share of clips that the trained network hears right less the share that the form does."""

    @property
    def holds(self) -> bool:
        """Whether the form is as close to the trained network as it must be."""
        one_clip, bound = 1 / self.report.clips, self.bound
        # Written so that a difference that is no number fails too.
        return bool(
            np.isfinite(self.largest_difference)
            and (bound.difference is None or self.largest_difference <= bound.difference)
            and 1 - self.agreement <= max(1 - bound.agreement, one_clip)
            and self.lost_accuracy <= max(bound.accuracy, one_clip)
        )


def prove(form: Form, folder: Path, trained: TrainedNetwork, evidence: Evidence) -> Proof:
    """Run the form's files in `folder` on the evidence.

    Raises:
        EngineError: the form is farther from the trained network than its bound, or a score is no number.
    """
    run = form.load(folder)
    logits = np.concatenate(
        [run(evidence.audio[first : first + AT_ONCE]) for first in range(0, len(evidence.audio), AT_ONCE)]
    )
    report = judge(logits, evidence.truth, trained.labels)
    expected = judge(evidence.logits, evidence.truth, trained.labels)
    proof = Proof(
        form=form.title,
        bound=form.bound,
        report=report,
        largest_difference=float(np.abs(logits - evidence.logits).max()),
        agreement=float(np.mean(logits.argmax(axis=1) == evidence.logits.argmax(axis=1))),
        lost_accuracy=expected.accuracy.value - report.accuracy.value,
    )
    if not proof.holds:
        raise EngineError(
            "export-differs",
            f"The {form.title} does not compute what was trained: its scores differ by {proof.largest_difference:.2g}, "
            f"it agrees on {proof.agreement:.1%} of {len(logits):,} test clips and loses {proof.lost_accuracy:.1%} of "
            f"accuracy, where {allowed(form.bound)}.",
            "This is a fault of Edgewise, so no artifact was made: choose another format, and report it with the log.",
        )
    return proof


def allowed(bound: Bound) -> str:
    """Say in half a sentence what a bound demands."""
    if bound.difference is not None:
        return f"scores may differ by {bound.difference:g}"
    return f"{bound.agreement:.0%} must agree and {bound.accuracy:.1%} of accuracy may be lost, or one clip"


def sample(clips: Clips, samples: int, most: int) -> FloatArray:
    """Return the audio of at most so many clips, evenly from all, (clips, samples)."""
    chosen = clips.select(_evenly(len(clips), most))
    begin = starts(chosen, samples)
    return np.stack([chosen.around(row, int(begin[row]), samples) for row in range(len(chosen))])


def _evenly(available: int, wanted: int) -> npt.NDArray[np.int64]:
    return np.linspace(0, available - 1, min(available, wanted)).round().astype(np.int64)
