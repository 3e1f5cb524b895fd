"""Each form of each network computes what the trained network computes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from edgewise.spec.network import NETWORKS, LMUStage, NetworkSpec, RecurrentLMUStage
from tests.networks import CLIP_SAMPLES, LABELS, random_audio, random_network
from workers.engine import networks
from workers.engine.features import FeatureExtractor
from workers.engine.weights import TrainedNetwork
from workers.export import savedmodel, tflite
from workers.export.forms import ONNX_CLIP, ONNX_STREAM, SAVED_MODEL, TFLITE, Form

RECURRENT = NetworkSpec(
    title="recurrent",
    stages=[LMUStage(order=3, theta=6, units=10, stride=2), RecurrentLMUStage(order=4, theta=12, units=12)],
)
EVERY_KIND = [*NETWORKS.values(), RECURRENT]


def trained_logits(trained: TrainedNetwork, audio: np.ndarray) -> np.ndarray:
    features = FeatureExtractor(trained.preprocessing)(audio)
    model = networks.build(trained.spec, features.shape[1], features.shape[2], len(trained.labels))
    networks.assign(model, trained.arrays)
    return model(features).numpy()


@pytest.mark.parametrize("form", [SAVED_MODEL, TFLITE, ONNX_CLIP, ONNX_STREAM], ids=lambda form: form.title)
@pytest.mark.parametrize("network", EVERY_KIND, ids=lambda network: network.title)
def test_scores_equal_the_trained_networks(tmp_path: Path, form: Form, network: NetworkSpec) -> None:
    trained = random_network(network)
    form.write(tmp_path, trained)
    run = form.load(tmp_path)
    for clips, samples in ((1, CLIP_SAMPLES), (32, CLIP_SAMPLES), (2, 8320), (3, 24000)):
        audio = random_audio(clips, samples)
        expected = trained_logits(trained, audio)
        assert run(audio).shape == (clips, len(LABELS))
        assert np.abs(run(audio) - expected).max() < 1e-4


def test_every_form_takes_audio_shorter_than_a_window(tmp_path: Path) -> None:
    trained, audio = random_network("kws-small"), random_audio(2, 500)
    expected = trained_logits(trained, np.concatenate([np.zeros((2, 140), np.float32), audio], axis=1))
    for form in (SAVED_MODEL, TFLITE, ONNX_CLIP, ONNX_STREAM):
        form.write(tmp_path, trained)
        assert np.abs(form.load(tmp_path)(audio) - expected).max() < 1e-4


def test_signatures_name_scores_and_probabilities(tmp_path: Path) -> None:
    savedmodel.write(tmp_path, random_network("kws-small"))
    spotter, audio = tf.saved_model.load(str(tmp_path)), tf.constant(random_audio(2, CLIP_SAMPLES))
    for name in ("serving_default", "serve"):
        found = spotter.signatures[name](audio=audio)
        assert np.array_equal(found["logits"], spotter([audio]))
        assert np.allclose(np.sum(found["probabilities"], axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("network", EVERY_KIND, ids=lambda network: network.title)
def test_tflite_takes_one_frame_of_any_batch_and_its_states_in_order(tmp_path: Path, network: NetworkSpec) -> None:
    trained = random_network(network)
    tflite.write(tmp_path, trained)
    step = tflite.Interpreter(tmp_path / tflite.MODEL)
    states = networks.fold(trained.spec, trained.arrays).state_shapes
    assert step.shapes == [[-1, 1, trained.preprocessing.num_features], *([-1, size] for size in states)]
    features = np.zeros((3, 1, trained.preprocessing.num_features), np.float32)
    logits, *updated = step(features, *(np.zeros((3, size), np.float32) for size in states))
    assert logits.shape == (3, len(LABELS))
    assert [state.shape for state in updated] == [(3, size) for size in states]
