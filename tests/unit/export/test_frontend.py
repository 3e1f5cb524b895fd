"""The features as a graph: equal to the definition, and to themselves however a stream is cut."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import tensorflow as tf

from edgewise.spec.run import AudioPreprocessing
from tests.networks import random_audio
from workers.engine.features import FeatureExtractor
from workers.export.frontend import FeatureGraph

CEPSTRA = AudioPreprocessing()
BANDS = AudioPreprocessing(dct_num_features=0)
SLOW = AudioPreprocessing(sample_rate=8000, mel_upper_edge_hertz=3800, window_size_ms=30, window_stride_ms=15)


def reference(parameters: AudioPreprocessing, audio: np.ndarray) -> np.ndarray:
    return FeatureExtractor(parameters, np.float64)(audio)


@pytest.mark.parametrize("parameters", [CEPSTRA, BANDS, SLOW])
def test_float32_equals_the_definition_on_broadband_audio(parameters: AudioPreprocessing) -> None:
    audio = random_audio(4, 16000)
    graph = FeatureGraph(parameters, np.float32)
    assert np.abs(graph(tf.constant(audio)) - reference(parameters, audio)).max() < 1e-4


@pytest.mark.parametrize("parameters", [CEPSTRA, BANDS, SLOW])
def test_float64_equals_the_definition_on_a_pure_tone_too(parameters: AudioPreprocessing) -> None:
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)
    audio = np.stack([tone, np.zeros(16000), np.arange(16000) / 16000]).astype(np.float32)
    graph = FeatureGraph(parameters, np.float64)
    assert np.abs(graph(tf.constant(audio)) - reference(parameters, audio)).max() < 1e-4


def test_a_clip_shorter_than_a_window_begins_with_silence() -> None:
    graph = FeatureGraph(CEPSTRA, np.float64)
    audio = random_audio(2, 300)
    padded = np.concatenate([np.zeros((2, 340), np.float32), audio], axis=1)
    assert np.array_equal(graph.begin(tf.constant(audio)), padded)
    assert graph(graph.begin(tf.zeros([3, 0]))).shape == (3, 1, 20)


@pytest.mark.parametrize("seed", range(5))
def test_a_stream_gives_the_same_features_however_it_is_cut(seed: int) -> None:
    generator = np.random.default_rng(seed)
    graph = FeatureGraph(CEPSTRA, np.float32)
    audio = random_audio(2, 16000, seed)
    cuts = [0, *(640 + np.cumsum(generator.integers(320, 3000, 8))), 16000]
    found = streamed(graph, audio, sorted(cut for cut in cuts if cut <= 15680 or cut == 16000))
    assert found.shape == (2, 49, 20)
    assert np.abs(found - graph(tf.constant(audio))).max() < 1e-5


def test_a_stream_that_begins_with_a_short_chunk_begins_with_silence() -> None:
    graph = FeatureGraph(CEPSTRA, np.float32)
    audio = random_audio(2, 3200)
    padded = np.concatenate([np.zeros((2, 320), np.float32), audio], axis=1)
    found = streamed(graph, audio, range(0, 3201, 320))
    # Not to the bit: on some processors TensorFlow sums frames in another order where there are more of them.
    assert np.abs(found - graph(tf.constant(padded))).max() < 1e-5


def streamed(graph: FeatureGraph, audio: np.ndarray, cuts: object) -> np.ndarray:
    leftover, parts = tf.zeros([len(audio), 0]), []
    for begin, end in itertools.pairwise(cuts):  # type: ignore[call-overload]
        features, leftover = graph.stream(tf.constant(audio[:, begin:end]), leftover)
        parts.append(features)
    return np.concatenate(parts, axis=1)
