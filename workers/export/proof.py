"""Proof that a form computes what was trained: the exported files themselves are run on test clips.

The proof is a chain: the trained network, then each form of an artifact in its order, each compared with the trained
network. Features are compared with the client's definition in float64, on white noise at several levels: where a band
is nearly empty, as beside a pure tone, a float32 spectrum has no digits left and the logarithm shows it; the definition
itself, which the client computes in float32, is no better there, so speech and tones would measure the recording and
not the form.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgewise.spec.proof import Resources
from workers.engine.data import Clips, starts
from workers.engine.errors import EngineError
from workers.engine.evaluation import Report, judge
from workers.engine.features import FeatureExtractor
from workers.engine.inference import infer
from workers.engine.weights import TrainedNetwork
from workers.export.c.outside import TakesTooLong
from workers.export.forms import EXACT, MOST_CLIPS, Bound, FloatArray, Form

AT_ONCE = 50
NOISE_SEED = 0
NOISE_DBFS = (-50, -40, -30, -20, -10)
NOISE = f"white noise at {len(NOISE_DBFS)} levels from {NOISE_DBFS[0]} to {NOISE_DBFS[-1]} dB of full scale"
MEASURED_CLIPS = 2


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
        """Take at most `MOST_CLIPS` test clips, evenly from the whole split."""
        clips = test.select(_evenly(len(test), MOST_CLIPS))
        return cls(sample(clips, trained.clip_samples, MOST_CLIPS), clips.label, infer(trained, clips), len(test))

    def sample(self, count: int) -> Evidence:
        """Take `count` of the clips, evenly."""
        rows = _evenly(len(self.audio), count)
        return Evidence(self.audio[rows], self.truth[rows], self.logits[rows], self.available)

    def of_every_label(self, count: int) -> Evidence:
        """Take `count` of the clips, as evenly from all labels as they allow."""
        seen = np.array([int((self.truth[:row] == label).sum()) for row, label in enumerate(self.truth)])
        rows = np.sort(np.lexsort((self.truth, seen))[:count])
        return Evidence(self.audio[rows], self.truth[rows], self.logits[rows], self.available)

    def features(self, trained: TrainedNetwork) -> FloatArray:
        """Features by the definition: (clips, frames, features)."""
        return defined_features(trained, self.audio)


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
    feature_difference: float | None = None
    """Largest of any feature of the noise to the definition; None: its features cannot be seen."""
    file_bytes: int | None = None
    resources: Resources | None = None

    @property
    def holds(self) -> bool:
        """Whether the form is as close to the trained network as it must be."""
        # Shares are not exact: what is one clip must not count as a little more.
        one_clip, bound = 1 / self.report.clips + 1e-9, self.bound
        # Written so that a difference that is no number fails too.
        return bool(
            np.isfinite(self.largest_difference)
            and (bound.difference is None or self.largest_difference <= bound.difference)
            and (self.feature_difference is None or self.feature_difference <= bound.features)
            and 1 - self.agreement <= max(1 - bound.agreement, one_clip)
            and self.lost_accuracy <= max(bound.accuracy, one_clip)
        )

    @property
    def reason(self) -> str:
        """Say how far a form that differs is from the trained network."""
        features = f"its features differ by {self.feature_difference:.2g}, " if self.feature_difference else ""
        return (
            f"{features}its scores differ by {self.largest_difference:.2g}, it agrees on {self.agreement:.1%} of "
            f"{self.report.clips:,} test clips and loses {self.lost_accuracy:.1%} of accuracy, where "
            f"{allowed(self.bound)}"
        )


@dataclass(frozen=True)
class Skipped:
    """A form that could not be run here."""

    form: str
    reason: str


def start(trained: TrainedNetwork, evidence: Evidence) -> Proof:
    """Return the chain's beginning: the trained network itself."""
    noise = white_noise(trained)
    features = FeatureExtractor(trained.preprocessing)(noise).astype(np.float32)
    return _compared("Trained network", EXACT, evidence.logits, evidence, trained, _far(features, trained, noise))


def prove(form: Form, folder: Path, trained: TrainedNetwork, evidence: Evidence) -> Proof | Skipped:
    """Run the form's files in `folder` on the evidence."""
    if missing := form.why_not():
        return Skipped(form.title, missing)
    try:
        return _run(form, folder, trained, evidence)
    except TakesTooLong as error:
        return Skipped(form.title, str(error))


def _run(form: Form, folder: Path, trained: TrainedNetwork, evidence: Evidence) -> Proof:
    run, here = form.load(folder), evidence.sample(form.most_clips)
    logits = np.concatenate([run(here.audio[first : first + AT_ONCE]) for first in range(0, len(here.audio), AT_ONCE)])
    far = None
    if form.load_features:
        noise = white_noise(trained)
        far = _far(form.load_features(folder)(noise), trained, noise)
    resources = form.measure(folder, here.audio[:MEASURED_CLIPS]) if form.measure else None
    return _compared(form.title, form.bound, logits, here, trained, far, resources)


OUR_FAULT = "This is a fault of Edgewise, so no artifact was made: choose another format, and report it with the log."
TOO_COARSE = (
    "Integers are too coarse for this network, so no artifact was made: choose float32, or train it longer, for scores "
    "that lie close together are the first to change places."
)


def require(proofs: tuple[Proof | Skipped, ...]) -> None:
    """Let nothing through that does not compute what was trained.

    Raises:
        EngineError: a form is farther from the trained network than its bound, or a score is no number.
    """
    for proof in proofs:
        if isinstance(proof, Proof) and not proof.holds:
            raise EngineError(
                "export-differs",
                f"The {proof.form} does not compute what was trained: {proof.reason}.",
                TOO_COARSE if proof.bound.difference is None else OUR_FAULT,
            )


def allowed(bound: Bound) -> str:
    """Say in half a sentence what a bound demands."""
    if bound.difference is not None:
        return f"scores may differ by {bound.difference:g}, features by {bound.features:g}"
    return f"{bound.agreement:.0%} must agree and {bound.accuracy:.1%} of accuracy may be lost, or one clip"


def white_noise(trained: TrainedNetwork) -> FloatArray:
    """Make clips that are broadband at every level, (clips, samples), of 16 bits as devices hear them."""
    generator = np.random.default_rng(NOISE_SEED)
    levels = 10 ** (np.array(NOISE_DBFS)[:, None] / 20)
    noise = levels * generator.standard_normal((len(NOISE_DBFS), trained.clip_samples))
    return (np.clip(np.round(noise * 32768), -32768, 32767) / 32768).astype(np.float32)


def defined_features(trained: TrainedNetwork, audio: FloatArray) -> FloatArray:
    """Features by the definition, in float64: (clips, frames, features)."""
    return FeatureExtractor(trained.preprocessing, np.float64)(audio).astype(np.float32)


def sample(clips: Clips, samples: int, most: int) -> FloatArray:
    """Return the audio of at most so many clips, evenly from all, (clips, samples)."""
    chosen = clips.select(_evenly(len(clips), most))
    begin = starts(chosen, samples)
    return np.stack([chosen.around(row, int(begin[row]), samples) for row in range(len(chosen))])


def _compared(
    title: str,
    bound: Bound,
    logits: FloatArray,
    evidence: Evidence,
    trained: TrainedNetwork,
    feature_difference: float | None,
    resources: Resources | None = None,
) -> Proof:
    report = judge(logits, evidence.truth, trained.labels)
    expected = judge(evidence.logits, evidence.truth, trained.labels)
    return Proof(
        form=title,
        bound=bound,
        report=report,
        largest_difference=float(np.abs(logits - evidence.logits).max()),
        agreement=float(np.mean(logits.argmax(axis=1) == evidence.logits.argmax(axis=1))),
        lost_accuracy=expected.accuracy.value - report.accuracy.value,
        feature_difference=feature_difference,
        resources=resources,
    )


def _far(features: FloatArray, trained: TrainedNetwork, noise: FloatArray) -> float:
    return float(np.abs(features - defined_features(trained, noise)).max())


def _evenly(available: int, wanted: int) -> npt.NDArray[np.int64]:
    return np.linspace(0, available - 1, min(available, wanted)).round().astype(np.int64)
