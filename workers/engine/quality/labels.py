"""Clips whose label is probably wrong, by what the other clips teach.

Confident learning (Northcutt, Jiang & Chuang 2021, "Confident Learning: Estimating Uncertainty in Dataset Labels",
https://arxiv.org/abs/1911.00068): a model that has not heard a clip says how probable each label is, and what it says
is judged by how sure it is of each label on average. The model is a logistic regression over an approximated Gaussian
kernel of the word's description; it needs seconds, where a network needs minutes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from workers.engine.quality.signatures import WORD_SIZE, Float16Array

FEWEST_CLIPS = 20
"""Of a label. With fewer the model has learned too little of it to doubt it."""
FOLDS = 4
MOST_LEARNED = 8000
"""Clips that one model learns from."""
ROWS_AT_ONCE = 2048
COMPONENTS = 600
KERNEL_WIDTH = 3.0
"""Squared, of the Gaussian, as a multiple of the mean square of a standardised description."""
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
    best, doubt = _doubts(_probabilities(words, judged, given, stop), given)
    order = np.argsort(-doubt, kind="stable")
    return [
        Suspicion(int(judged[row]), str(names[best[row]]), float(doubt[row])) for row in order if doubt[row] >= DOUBT
    ]


def _probabilities(
    words: Float16Array, judged: npt.NDArray[np.intp], given: npt.NDArray[np.intp], stop: Callable[[], None]
) -> npt.NDArray[np.float32]:
    """Return how probable each label is (judged clips, labels), by a model that has not heard the clip."""
    found = np.zeros((len(given), given.max() + 1), np.float32)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    for learned, held_out in folds.split(judged, given):
        if len(learned) > MOST_LEARNED:
            learned, _ = train_test_split(learned, train_size=MOST_LEARNED, stratify=given[learned], random_state=0)
        stop()
        model = _model(min(COMPONENTS, len(learned))).fit(words[judged[learned]].astype(np.float32), given[learned])
        for begin in range(0, len(held_out), ROWS_AT_ONCE):
            stop()
            rows = held_out[begin : begin + ROWS_AT_ONCE]
            found[rows[:, None], model.classes_] = model.predict_proba(words[judged[rows]].astype(np.float32))
    return found


def _model(components: int) -> Pipeline:
    return make_pipeline(
        StandardScaler(),
        Nystroem(gamma=1 / (KERNEL_WIDTH * WORD_SIZE), n_components=components, random_state=0),
        LogisticRegression(C=3, max_iter=200),
    )


def _doubts(
    probabilities: npt.NDArray[np.float32], given: npt.NDArray[np.intp]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float32]]:
    """Return the best other label of each row, and how much it is to be preferred to the given one."""
    row = np.arange(len(given))
    usual = np.array([probabilities[given == label, label].mean() for label in range(probabilities.shape[1])])
    own = probabilities[row, given]
    others = probabilities.copy()
    others[row, given] = -1
    best = others.argmax(axis=1)
    return best, (others[row, best] - own) / usual[best]
