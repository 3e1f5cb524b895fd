"""Judging: logits of clips, and what they say about the network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.integer[Any]]

RESAMPLES = 300


@dataclass(frozen=True)
class Interval:
    """A share and its 95 % interval (Wilson 1927), which holds for small counts too."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class LabelReport:
    """How one label fared."""

    label: str
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class Report:
    """Results on labelled clips. `confusion[i][j]` counts clips of label i that were taken for label j."""

    clips: int
    accuracy: Interval
    balanced_accuracy: float
    loss: float
    confusion: IntArray
    labels: tuple[LabelReport, ...]


def judge(logits: FloatArray, truth: IntArray, labels: tuple[str, ...]) -> Report:
    """Compare logits (clips, labels) with the true labels (clips,)."""
    predicted = logits.argmax(axis=1)
    confusion = np.zeros((len(labels), len(labels)), dtype=np.int64)
    np.add.at(confusion, (truth, predicted), 1)
    reports = tuple(_report(label, index, confusion) for index, label in enumerate(labels))
    recalls = [report.recall for report in reports if report.support]
    return Report(
        clips=len(truth),
        accuracy=wilson(int(np.trace(confusion)), len(truth)),
        balanced_accuracy=float(np.mean(recalls)),
        loss=softmax_cross_entropy(logits, truth),
        confusion=confusion,
        labels=reports,
    )


def wilson(successes: int, trials: int) -> Interval:
    """Return the share of successes with its 95 % interval."""
    if trials == 0:
        return Interval(0.0, 0.0, 1.0)
    z, share = 1.959964, successes / trials
    centre = (share + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z / (1 + z * z / trials) * float(np.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials)))
    # At 0 and 1 rounding could put the share outside its interval.
    return Interval(share, max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half)))


def intervals(logits: FloatArray, truth: IntArray, labels: int) -> dict[str, Interval]:
    """Return balanced accuracy and loss with 95 % intervals from a fixed bootstrap over the clips (Efron 1979)."""
    generator = np.random.default_rng(0)
    hits = logits.argmax(axis=1) == truth
    losses = _cross_entropies(logits, truth)
    drawn = generator.integers(len(truth), size=(RESAMPLES, len(truth)))
    balanced = [_balanced(hits[rows], truth[rows], labels) for rows in drawn]
    return {
        "balanced_accuracy": _percentiles(_balanced(hits, truth, labels), balanced),
        "loss": _percentiles(float(losses.mean()), losses[drawn].mean(axis=1)),
    }


def _balanced(hits: npt.NDArray[np.bool_], truth: IntArray, labels: int) -> float:
    support = np.bincount(truth, minlength=labels)
    right = np.bincount(truth, weights=hits, minlength=labels)
    return float(np.mean(right[support > 0] / support[support > 0]))


def _percentiles(value: float, resampled: npt.ArrayLike) -> Interval:
    low, high = np.percentile(np.asarray(resampled), [2.5, 97.5])
    return Interval(value, float(low), float(high))


def probabilities(logits: FloatArray) -> FloatArray:
    """Return the softmax over the last axis."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True))


def softmax_cross_entropy(logits: FloatArray, truth: IntArray) -> float:
    """Return the mean cross entropy in nats."""
    return float(np.mean(_cross_entropies(logits, truth)))


def _cross_entropies(logits: FloatArray, truth: IntArray) -> FloatArray:
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    return np.asarray(np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(truth)), truth])


def _report(label: str, index: int, confusion: IntArray) -> LabelReport:
    hits, support, claimed = confusion[index, index], confusion[index].sum(), confusion[:, index].sum()
    precision, recall = float(hits / claimed) if claimed else 0.0, float(hits / support) if support else 0.0
    f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    return LabelReport(label, precision, recall, f1, int(support))
