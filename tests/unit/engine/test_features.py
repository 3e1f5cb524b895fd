"""Features against a plain float64 writing of the client's definition, its own module, and figures that it gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewise.spec.run import AudioPreprocessing
from workers.bench.peers import client_features
from workers.engine.features import CLIPS_AT_ONCE, FeatureExtractor, cosine_transform

Array = npt.NDArray[np.float64]


def reference(audio: Array, parameters: AudioPreprocessing) -> Array:
    """Features of one clip, frame by frame and band by band."""
    rate, bands = parameters.sample_rate, parameters.mel_num_bins
    window, hop = round(rate * parameters.window_size_ms / 1000), round(rate * parameters.window_stride_ms / 1000)
    points = 1
    while points < window:
        points *= 2
    taper = np.array([0.5 - 0.5 * np.cos(2 * np.pi * n / window) for n in range(window)])

    def mel(frequency: float) -> float:
        return float(1127 * np.log(1 + frequency / 700))

    edges = np.linspace(mel(parameters.mel_lower_edge_hertz), mel(parameters.mel_upper_edge_hertz), bands + 2)
    weights = np.zeros((points // 2 + 1, bands))
    for k in range(1, len(weights)):
        place = mel(k * rate / points)
        for i in range(bands):
            rising = (place - edges[i]) / (edges[i + 1] - edges[i])
            falling = (edges[i + 2] - place) / (edges[i + 2] - edges[i + 1])
            weights[k, i] = max(0.0, min(rising, falling))
    frames = []
    for begin in range(0, len(audio) - window + 1, hop):
        magnitude = np.abs(np.fft.rfft(audio[begin : begin + window] * taper, points))
        frames.append(np.log(np.maximum(magnitude @ weights, parameters.log_epsilon)))
    levels = np.reshape(frames, (-1, bands))
    count = parameters.dct_num_features
    if not count:
        return levels
    m, k = np.arange(bands)[:, None], np.arange(count)[None, :]
    return np.asarray(levels @ (2 * np.cos(np.pi * (2 * m + 1) * k / (2 * bands)) / np.sqrt(2 * bands)))


@st.composite
def preprocessings(draw: st.DrawFn) -> AudioPreprocessing:
    """Draw any parameters that the form takes."""
    rate = draw(st.sampled_from([8000, 11025, 16000, 22050]))
    window = draw(st.floats(8, 64))
    bands = draw(st.integers(4, 60))
    lower = draw(st.floats(0, 1000))
    return AudioPreprocessing(
        sample_rate=rate,
        window_size_ms=window,
        window_stride_ms=draw(st.floats(5, window)),
        mel_num_bins=bands,
        dct_num_features=draw(st.integers(0, bands)),
        mel_lower_edge_hertz=lower,
        mel_upper_edge_hertz=draw(st.floats(lower + 500, rate / 2)),
        log_epsilon=draw(st.sampled_from([1e-12, 1e-6, 1e-3])),
    )


def allowed(audio: Array, parameters: AudioPreprocessing) -> Array:
    """What float32 may change in features of noise: 1e-4, and more where a band is nearly empty by chance.

    Rounding is relative to the loudest band of a frame, and the logarithm makes it relative to each band.
    """
    levels = FeatureExtractor(parameters.model_copy(update={"dct_num_features": 0}), np.float64)(audio)
    loudest = levels.max(axis=-1, keepdims=True, initial=np.log(parameters.log_epsilon))
    rounding = 1e-4 + 4 * np.finfo(np.float32).eps * np.exp(loudest - levels)
    count = parameters.dct_num_features
    return rounding @ np.abs(cosine_transform(parameters.mel_num_bins, count)) if count else rounding


@given(parameters=preprocessings(), samples=st.integers(0, 6000), seed=st.integers(0, 1000))
@settings(max_examples=30)
def test_features_follow_the_definition(parameters: AudioPreprocessing, samples: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    audio = 10 ** generator.uniform(-3, 0) * generator.uniform(-1, 1, (2, samples))
    expected = np.stack([reference(clip, parameters) for clip in audio])
    exact = FeatureExtractor(parameters, np.float64)(audio)
    assert exact.shape == expected.shape == (2, parameters.num_frames(samples), parameters.num_features)
    np.testing.assert_allclose(exact, expected, atol=1e-9)
    fast = FeatureExtractor(parameters)(audio.astype(np.float32))
    assert fast.dtype == np.float32
    expected_of_float32 = np.stack([reference(clip, parameters) for clip in audio.astype(np.float32)])
    assert (np.abs(fast - expected_of_float32) <= allowed(audio, parameters)).all()


@given(parameters=preprocessings(), samples=st.integers(1500, 6000), seed=st.integers(0, 1000))
@settings(max_examples=50)
def test_features_are_those_of_the_client(parameters: AudioPreprocessing, samples: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    audio = 10 ** generator.uniform(-3, 0) * generator.uniform(-1, 1, (3, samples))
    client = client_features(parameters)
    exact = FeatureExtractor(parameters, np.float64)(audio)
    assert exact.shape == client(audio).shape
    np.testing.assert_allclose(exact, client(audio), atol=1e-9)
    rounded = audio.astype(np.float32)
    differences = np.abs(FeatureExtractor(parameters)(rounded) - client(rounded))
    assert (differences <= allowed(audio, parameters)).all()


def tone() -> Array:
    return 0.5 * np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)


KNOWN: list[tuple[Array, int, int, list[float]]] = [
    (np.zeros(16000), 20, 7, [-247.13937, 0, 0]),
    (np.zeros(16000), 0, 7, [-27.63102] * 40),
    (tone(), 20, 0, [-51.83534, 22.75148, 2.02993, -2.21431, -6.24002, -5.97865]),
    (tone(), 0, 0, [-4.06057, -3.69445, -3.21376, -2.53776, -1.73969, -0.21071]),
    (np.arange(16000) / 16000, 20, 0, [-80.72967, 17.73022, 4.30138, 4.28876, 2.07053, 2.25536]),
    (np.arange(16000) / 16000, 20, 48, [-50.04475, 17.72259, 4.29567, 4.28514, 2.07055, 2.25851]),
]


@pytest.mark.parametrize(("audio", "count", "frame", "expected"), KNOWN)
def test_known_figures_of_the_client(audio: Array, count: int, frame: int, expected: list[float]) -> None:
    features = FeatureExtractor(AudioPreprocessing(dct_num_features=count), np.float64)(audio[None])
    assert features.shape == (1, 49, count or 40)
    assert features[0, frame, : len(expected)] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("clips", [0, 1, CLIPS_AT_ONCE - 1, CLIPS_AT_ONCE, CLIPS_AT_ONCE + 1, 3 * CLIPS_AT_ONCE])
def test_clips_do_not_depend_on_their_batch(clips: int) -> None:
    extract = FeatureExtractor(AudioPreprocessing())
    audio = np.random.default_rng(0).standard_normal((clips, 4000)).astype(np.float32)
    features = extract(audio)
    assert features.shape == (clips, extract.parameters.num_frames(4000), 20)
    for one, whole in zip(audio, features, strict=True):
        assert np.array_equal(extract(one[None])[0], whole)


@pytest.mark.parametrize(("samples", "frames"), [(0, 0), (639, 0), (640, 1), (959, 1), (960, 2), (16000, 49)])
def test_only_whole_windows_count(samples: int, frames: int) -> None:
    features: npt.NDArray[Any] = FeatureExtractor(AudioPreprocessing())(np.zeros((3, samples)))
    assert features.shape == (3, frames, 20)


def test_an_equalizer_scales_the_bands_of_each_clip() -> None:
    parameters = AudioPreprocessing(dct_num_features=0)
    extract = FeatureExtractor(parameters, np.float64)
    generator = np.random.default_rng(0)
    audio = generator.standard_normal((6, 4000))
    gains = generator.uniform(0.5, 2, (6, parameters.mel_num_bins))
    assert np.allclose(extract(audio, gains), extract(audio) + np.log(gains)[:, None], atol=1e-12)
