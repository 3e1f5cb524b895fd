"""Clips whose label is probably wrong, by what the other clips teach.

Confident learning (Northcutt, Jiang & Chuang 2021, "Confident Learning: Estimating Uncertainty in Dataset Labels",
https://arxiv.org/abs/1911.00068): a model that has not heard a clip says how probable each label is, and what it says
is judged by how sure it is of each label on average. The model is a ridge regression on the labels over a Gaussian
kernel, of which some clips are the landmarks (Williams & Seeger 2001, "Using the Nyström Method to Speed Up Kernel
Machines"). What it would say of a clip that it has not heard follows in closed form (Allen 1974, "The Relationship
between Variable Selection and Data Augmentation and a Method for Prediction"): with H the matrix that turns labels into
predictions, (Hy - h_ii y_i) / (1 - h_ii). So it is fitted once, in a second, where a network needs minutes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve, solve_triangular

from workers.engine.quality.signatures import WORD_SIZE, Float16Array

FloatArray = npt.NDArray[np.float32]

FEWEST_CLIPS = 20
"""Of a label. With fewer the model has learned too little of it to doubt it."""
ROWS_AT_ONCE = 2048
LANDMARKS = 1000
KERNEL_WIDTH = 3.0
"""Squared, of the Gaussian, as a multiple of the mean square of a standardised description."""
RIDGE = 0.3
DOUBT = 0.4
"""From here on a label is suspected."""


@dataclass(frozen=True)
class Suspicion:
    """A clip that sounds like another word."""

    row: int
    suggestion: str
    doubt: float
    """How much more probable the other label is, as a share of how probable that label is where it is right."""


def suspected_labels(words: Float16Array, labels: Sequence[str], stop: Callable[[], None]) -> list[Suspicion]:
    """List the clips that sound like another of the labels, the most suspicious first.

    Args:
        words: (clips, WORD_SIZE), of `signatures`.
        labels: of each clip.
        stop: is called now and then, and raises where the work shall end.
    """
    names, given, counts = np.unique(np.asarray(labels), return_inverse=True, return_counts=True)
    judged = np.flatnonzero(counts[given] >= FEWEST_CLIPS)
    if len(names := names[counts >= FEWEST_CLIPS]) < 2:
        return []
    given = np.unique(given[judged], return_inverse=True)[1]
    best, doubt = _doubts(_Kernel(words, judged), given, stop)
    order = np.argsort(-doubt, kind="stable")
    return [
        Suspicion(int(judged[row]), str(names[best[row]]), float(doubt[row])) for row in order if doubt[row] >= DOUBT
    ]


class _Kernel:
    """Nyström's features of clips: their inner products are about a Gaussian of the distance of two descriptions."""

    def __init__(self, words: Float16Array, judged: npt.NDArray[np.intp]) -> None:
        self._words, self._judged = words, judged
        chosen = np.random.default_rng(0).permutation(len(judged))[:LANDMARKS]
        sample = words[judged[chosen]].astype(np.float32)
        self.size = len(chosen)
        self._mean, self._spread = sample.mean(axis=0), sample.std(axis=0) + 1e-6
        self._landmarks = self._standardised(judged[chosen])
        between = self._gaussian(self._landmarks).astype(np.float64)
        self._root = np.linalg.cholesky(between + 1e-4 * np.eye(len(chosen))).astype(np.float32)

    def blocks(self) -> Iterator[tuple[slice, FloatArray]]:
        """Give the features of all judged clips, some at a time: which rows, and (rows, landmarks)."""
        for begin in range(0, len(self._judged), ROWS_AT_ONCE):
            rows = slice(begin, begin + ROWS_AT_ONCE)
            similar = self._gaussian(self._standardised(self._judged[rows]))
            yield rows, np.asarray(solve_triangular(self._root, similar.T, lower=True), np.float32).T

    def _standardised(self, rows: npt.NDArray[np.intp]) -> FloatArray:
        return np.asarray((self._words[rows].astype(np.float32) - self._mean) / self._spread)

    def _gaussian(self, words: FloatArray) -> FloatArray:
        squares = (words**2).sum(axis=1)[:, None] + (self._landmarks**2).sum(axis=1) - 2 * words @ self._landmarks.T
        return np.asarray(np.exp(-squares / (KERNEL_WIDTH * WORD_SIZE)), np.float32)


def _doubts(
    kernel: _Kernel, given: npt.NDArray[np.intp], stop: Callable[[], None]
) -> tuple[npt.NDArray[np.intp], FloatArray]:
    """Return the best other label of each clip, and how much it is to be preferred to the given one.

    Judged by how probable each label is, as if the model had not heard the clip. That is a matrix of clips and labels,
    of which only a block is kept at a time.
    """
    clips = np.bincount(given)
    usual = (clips / len(given)).astype(np.float32)
    products = RIDGE * np.eye(kernel.size, dtype=np.float32)
    targets = np.zeros((kernel.size, len(clips)), np.float32)
    for rows, features in kernel.blocks():
        stop()
        products += features.T @ features
        targets += features.T @ _centred(given[rows], usual)
    factor = cho_factor(products)
    weights = cho_solve(factor, targets)
    best, other, own = np.empty_like(given), np.empty(len(given), np.float32), np.empty(len(given), np.float32)
    for rows, features in kernel.blocks():
        stop()
        leverage = (features.T * cho_solve(factor, features.T)).sum(axis=0)[:, None]
        unheard = features @ weights - leverage * _centred(given[rows], usual)
        probable = usual + unheard / np.maximum(1 - leverage, 1e-3)
        row = np.arange(len(probable))
        own[rows] = probable[row, given[rows]]
        probable[row, given[rows]] = -np.inf
        best[rows] = probable.argmax(axis=1)
        other[rows] = probable[row, best[rows]]
    sure = (np.bincount(given, own) / clips).astype(np.float32)
    return best, (other - own) / sure[best]


def _centred(given: npt.NDArray[np.intp], usual: FloatArray) -> FloatArray:
    """Return 1 for the given label of each clip and 0 for the others, less how usual each label is: (clips, labels)."""
    truth = np.tile(-usual, (len(given), 1))
    truth[np.arange(len(given)), given] += 1
    return truth
