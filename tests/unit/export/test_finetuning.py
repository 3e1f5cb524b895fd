"""Fine-tuning: it learns on the very integers that the device will have, and gains by it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.special import log_softmax

from tests.networks import CLIP_SAMPLES, random_audio, random_network
from tests.unit.engine.tones import run_parameters, tones
from tests.unit.export.test_c_library import EVERY_KIND
from tests.unit.export.test_tflite_int8 import strided
from workers.engine.batches import plain_features
from workers.engine.features import FeatureExtractor
from workers.engine.inference import infer
from workers.engine.networks import FoldedNetwork, fold
from workers.engine.training import train
from workers.engine.weights import TrainedNetwork
from workers.export import finetuning, tflite
from workers.export.finetuning import Lessons, finetune, rounded_scores
from workers.export.tflite_int8 import Scales, integer_model


def modelled(network: FoldedNetwork, scales: Scales, features: np.ndarray, folder: Path) -> np.ndarray:
    """Return the scores of the TFLite model."""
    (folder / tflite.MODEL).write_bytes(integer_model(network, scales))
    step = tflite.Interpreter(folder / tflite.MODEL)
    states = [np.zeros((len(features), size), np.float32) for size in network.state_shapes]
    for frame in range(features.shape[1]):
        scores, *states = step(features[:, frame : frame + 1], *states)
    return scores


@pytest.mark.parametrize(
    "trained",
    [random_network("kws-small"), random_network("kws-reference"), random_network(EVERY_KIND), strided((3, 2))],
    ids=["small", "reference", "every kind", "strided"],
)
def test_what_learns_is_what_the_device_computes(tmp_path: Path, trained: TrainedNetwork) -> None:
    features = FeatureExtractor(trained.preprocessing)(random_audio(20, CLIP_SAMPLES))
    network = fold(trained.spec, trained.arrays)
    scales = Scales.of(network, features)
    expected = modelled(network, scales, features, tmp_path)
    found = np.asarray(rounded_scores(network, scales, features))
    # A sum that lies in the middle between two integers may be rounded to either, and states remember it.
    steps = np.rint((found - expected) / scales.scores.step)
    assert np.median(np.abs(steps)) <= 1
    assert np.abs(found - expected).max() < 0.1 * np.ptp(expected)


def test_fine_tuning_brings_integers_closer_to_what_was_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, parameters = tones(tmp_path), run_parameters()
    trained = train(parameters, data, tmp_path, lambda event: None, lambda: False).best
    assert trained is not None
    features = plain_features(data.validation, data.clip_samples, FeatureExtractor(trained.preprocessing))
    network = fold(trained.spec, trained.arrays)
    # Ranges that are thirty-two times too wide leave three bits.
    scales = Scales.of(network, 32 * features)
    monkeypatch.setattr(finetuning, "STEPS", 100)
    exact, lessons = infer(trained, data.validation), Lessons(data, parameters)
    learned = [finetune(trained, scales, lessons) for _ in range(2)]
    before, after, again = (
        divergence(exact, modelled(candidate, scales, features, tmp_path)) for candidate in (network, *learned)
    )
    assert after < before / 2
    assert after == again


def divergence(expected: np.ndarray, found: np.ndarray) -> float:
    wanted, given = log_softmax(expected, axis=1), log_softmax(found, axis=1)
    return float((np.exp(wanted) * (wanted - given)).sum(axis=1).mean())
