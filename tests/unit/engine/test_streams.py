"""Long audio: the same for the same seed, and its words stand where it says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgewise.spec.dataset import UNKNOWN
from tests.unit.engine.tones import RATE, SAMPLES, run_parameters, tones
from workers.engine.data import TrainingData
from workers.engine.features import FeatureExtractor
from workers.engine.streams import GAP_SECONDS, MOST_REPEATS, STREAM_SECONDS, Streams, stream_features

TONE = 300
"""Hz of the word "low", within a tenth."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TrainingData:
    return tones(tmp_path_factory.mktemp("tones"))


def test_the_same_seed_gives_the_same_audio(data: TrainingData) -> None:
    first, second, other = Streams(data, 3), Streams(data, 3), Streams(data, 4)
    assert np.array_equal(first.audio(1), second.audio(1))
    assert np.array_equal(first.words.begin, second.words.begin)
    assert not np.array_equal(first.audio(1), other.audio(1))


def test_words_stand_apart_and_inside_their_stream(data: TrainingData) -> None:
    streams = Streams(data, 0)
    words = streams.words
    assert streams.seconds == len(streams) * STREAM_SECONDS
    for stream in range(len(streams)):
        begin = words.begin[words.stream == stream]
        gaps = np.diff(begin) - SAMPLES
        assert begin[0] >= GAP_SECONDS[0] * RATE
        assert begin[-1] + SAMPLES <= streams.samples
        assert (gaps >= GAP_SECONDS[0] * RATE).all()
        assert (gaps <= GAP_SECONDS[1] * RATE).all()


def test_every_keyword_of_the_validation_split_is_heard_equally_often_and_silence_never(data: TrainingData) -> None:
    words = Streams(data, 0).words
    keywords = np.flatnonzero(data.validation.label > 0)
    assert sorted(words.row) == sorted(np.repeat(keywords, MOST_REPEATS))
    assert np.array_equal(words.label, data.validation.label[words.row])


def test_other_words_are_at_most_half(data: TrainingData) -> None:
    labels = (data.labels[0], UNKNOWN, *data.labels[2:])
    words = Streams(replace(data, labels=labels), 0).words
    assert np.sum(words.label == 1) == MOST_REPEATS * np.sum(data.validation.label == 1)
    assert np.sum(words.label == 1) <= len(words.label) / 2


def test_a_word_is_heard_where_it_stands(data: TrainingData) -> None:
    streams = Streams(data, 0)
    words = streams.words
    word = int(np.flatnonzero(words.label == 1)[0])
    audio = streams.audio(int(words.stream[word]))
    begin = int(words.begin[word])
    assert _strength(audio[begin : begin + SAMPLES]) > 10 * _strength(audio[begin - SAMPLES : begin])


def _strength(audio: np.ndarray) -> float:
    spectrum = np.abs(np.fft.rfft(audio))
    frequency = np.fft.rfftfreq(len(audio), 1 / RATE)
    return float(spectrum[(frequency > 0.9 * TONE) & (frequency < 1.1 * TONE)].max())


def test_only_the_validation_share_of_the_noise_is_heard(data: TrainingData, tmp_path: Path) -> None:
    """The rest is replaced by silence, and nothing changes."""
    content = np.fromfile(data.noise.packs[0], "<i2")
    for offset, length in zip(data.noise.offset, data.noise.length, strict=True):
        content[offset : offset + length * 8 // 10] = 0
        content[offset + length * 9 // 10 : offset + length] = 0
    path = tmp_path / "noise.pcm"
    path.write_bytes(content.tobytes())
    muted = replace(data, noise=replace(data.noise, packs=(path,)))
    assert np.array_equal(Streams(muted, 0).audio(0), Streams(data, 0).audio(0))


def test_features_in_pieces_are_those_of_the_whole(data: TrainingData) -> None:
    extract = FeatureExtractor(run_parameters().preprocessing)
    audio = Streams(data, 0).audio(0)[: 7 * RATE + 123]
    whole = extract(audio[None])[0]
    assert stream_features(audio, extract) == pytest.approx(whole, abs=1e-5)
    assert len(stream_features(audio, extract)) == len(whole)
