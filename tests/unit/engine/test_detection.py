"""When a keyword counts as detected, and what is counted as an error."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgewise.spec.detection import SMOOTHING_MS, THRESHOLDS
from tests.networks import random_audio, random_network
from tests.unit.engine.tones import LABELS, RATE, SAMPLES, TINY, run_parameters, tones
from workers.engine import backends, detection, networks
from workers.engine.data import TrainingData
from workers.engine.detection import Curve, Sweep, detect, frames_of, keyword_outputs, measure, smooth
from workers.engine.features import FeatureExtractor
from workers.engine.inference import compiled_stream
from workers.engine.networks import fold
from workers.engine.streams import Streams
from workers.engine.weights import TrainedNetwork

# --- the rule ---------------------------------------------------------------------------------------------------------


def frames_detected(averages: list[float], threshold: float, refractory: int) -> list[int]:
    return np.flatnonzero(detect(np.array(averages), threshold, refractory)).tolist()


def test_a_keyword_is_detected_as_soon_as_it_reaches_the_threshold() -> None:
    assert frames_detected([0.1, 0.49, 0.5, 0.9, 0.2], 0.5, 10) == [2]


def test_nothing_is_detected_in_the_refractory_period() -> None:
    assert frames_detected([0.9] * 10, 0.5, 3) == [0, 3, 6, 9]
    assert frames_detected([0.9, 0.9, 0.1, 0.1, 0.9, 0.9], 0.5, 3) == [0, 4]
    assert frames_detected([0.9] * 3, 0.5, 1) == [0, 1, 2]


def test_smoothing_averages_what_has_been_heard() -> None:
    posteriors = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [0.0, 1.0]])
    assert smooth(posteriors, 1).tolist() == posteriors.tolist()
    assert smooth(posteriors, 3)[:, 1] == pytest.approx([0, 1 / 2, 2 / 3, 1])
    assert smooth(posteriors, 99)[:, 1] == pytest.approx([0, 1 / 2, 2 / 3, 3 / 4])


def test_windows_are_whole_frames_and_silence_and_unknown_are_no_keywords() -> None:
    preprocessing = run_parameters(window_stride_ms=20).preprocessing
    assert [frames_of(milliseconds, preprocessing) for milliseconds in (0, 20, 300, 1000)] == [1, 1, 15, 50]
    assert keyword_outputs(("<silence>", "<unknown>", "up", "down")) == [2, 3]


@given(
    hnp.arrays(np.float64, st.integers(1, 60), elements=st.floats(0, 1)),
    st.tuples(st.floats(0.05, 0.99), st.floats(0.05, 0.99)),
    st.integers(1, 20),
)
def test_a_higher_threshold_never_detects_more(
    averages: np.ndarray, thresholds: tuple[float, float], refractory: int
) -> None:
    low, high = sorted(thresholds)
    assert detect(averages, high, refractory).sum() <= detect(averages, low, refractory).sum()


@given(hnp.arrays(np.float64, st.tuples(st.integers(1, 4), st.integers(1, 40)), elements=st.floats(0, 1)))
def test_many_streams_and_thresholds_at_once_are_each_alone(averages: np.ndarray) -> None:
    levels = np.array([0.2, 0.6])
    together = detect(averages, levels[:, None], 4)
    for index, level in enumerate(levels):
        for stream, alone in enumerate(averages):
            assert np.array_equal(together[index, stream], detect(alone, level, 4))


# --- streams through the network --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["kws-small", "kws-large"])
def test_a_stream_ends_where_the_whole_clip_ends(name: str) -> None:
    network = random_network(name)
    features = FeatureExtractor(network.preprocessing)(random_audio(3, network.clip_samples)).astype(np.float32)
    model = networks.build(network.spec, *features.shape[1:], len(network.labels))
    networks.assign(model, network.arrays)
    stream = compiled_stream(fold(network.spec, network.arrays))(features)
    assert stream.shape == (*features.shape[:2], len(network.labels))
    assert stream[:, -1] == pytest.approx(backends.load().compiled_prediction(model)(features), abs=1e-4)


# --- what it costs ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TrainingData:
    return tones(tmp_path_factory.mktemp("tones"), clips_per_word=4)


@pytest.fixture(scope="module")
def network() -> TrainedNetwork:
    """Never trained: what it hears is told by the tests."""
    parameters = run_parameters().preprocessing
    model = networks.build(TINY, parameters.num_frames(SAMPLES), parameters.num_features, len(LABELS))
    return TrainedNetwork(TINY, parameters, LABELS, SAMPLES, networks.arrays_of(model))


@pytest.fixture
def hearing(data: TrainingData, network: TrainedNetwork, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """Logits (streams, frames, labels) that `measure` gets: silence, until a test writes words into them."""
    streams = Streams(data, 0)
    logits = np.zeros((len(streams), network.preprocessing.num_frames(streams.samples), len(LABELS)))
    logits[..., 0] = 20
    monkeypatch.setattr(detection, "_logits", lambda *_: iter([(0, logits)]))
    return logits


def say(logits: np.ndarray, stream: int, seconds: float, label: int, frames: int = 3) -> None:
    frame = round(seconds / 0.02)
    logits[stream, frame : frame + frames, label] = 40


def measured(data: TrainingData, network: TrainedNetwork) -> tuple[Sweep, Curve]:
    sweep = measure(network, data, 0, lambda *_: None)
    assert sweep is not None
    return sweep, sweep.curves[0]


def hear_all(logits: np.ndarray, data: TrainingData) -> None:
    words = Streams(data, 0).words
    for stream, begin, label in zip(words.stream, words.begin, words.label, strict=True):
        say(logits, stream, (begin + SAMPLES) / RATE, label)


def test_who_hears_nothing_misses_everything(data: TrainingData, network: TrainedNetwork, hearing: np.ndarray) -> None:
    sweep, curve = measured(data, network)
    assert sweep.keywords == LABELS[1:]
    assert sweep.spoken.tolist() == [40, 40, 40]
    assert (sweep.keyword_clips, sweep.other_clips) == (12, 0)
    assert sweep.refractory_ms == 1000 * SAMPLES / RATE
    assert sweep.seconds == 60 * len(hearing)
    assert [curve.smoothing_ms for curve in sweep.curves] == list(SMOOTHING_MS)
    assert not curve.false_accepts.any()
    assert (curve.misses == 40).all()


def test_who_hears_every_word_at_its_end_makes_no_error(
    data: TrainingData, network: TrainedNetwork, hearing: np.ndarray
) -> None:
    hear_all(hearing, data)
    sweep, curve = measured(data, network)
    assert not curve.misses.any()
    assert not curve.false_accepts.any()
    # All thresholds are equally good: the middle one is safest. Smoothing would only be slower.
    assert sweep.suggestion().model_dump() == {"threshold": 0.52, "smoothing_ms": 0}


def test_a_detection_in_noise_is_a_false_accept(
    data: TrainingData, network: TrainedNetwork, hearing: np.ndarray
) -> None:
    hear_all(hearing, data)
    say(hearing, 0, 0.2, 1)
    sweep, curve = measured(data, network)
    assert set(curve.false_accepts) == {1}
    assert not curve.misses.any()
    assert sweep.highest_rates(curve)[0] == pytest.approx(4.744 / sweep.hours, rel=1e-3)


def test_a_keyword_taken_for_another_is_a_false_accept_and_a_miss(
    data: TrainingData, network: TrainedNetwork, hearing: np.ndarray
) -> None:
    hear_all(hearing, data)
    words = Streams(data, 0).words
    frame = round((int(words.begin[0]) + SAMPLES) / RATE / 0.02)
    label = int(words.label[0])
    hearing[0, frame : frame + 3] = np.roll(hearing[0, frame : frame + 3], 1 if label < 3 else -1, axis=-1)
    _, curve = measured(data, network)
    assert set(curve.false_accepts) == {1}
    assert curve.misses[0].tolist() == [int(label == keyword) for keyword in (1, 2, 3)]


@pytest.mark.parametrize(("late_ms", "found"), [(980, True), (1060, False)])
def test_a_keyword_may_be_found_a_little_late(
    data: TrainingData, network: TrainedNetwork, hearing: np.ndarray, late_ms: float, found: bool
) -> None:
    words = Streams(data, 0).words
    say(hearing, 0, (int(words.begin[0]) + SAMPLES) / RATE + late_ms / 1000 - 0.032, int(words.label[0]), frames=1)
    _, curve = measured(data, network)
    assert curve.misses[0].sum() == len(words.row) - found
    assert curve.false_accepts[0] == (not found)


def test_a_second_detection_of_the_same_keyword_is_a_false_accept(
    data: TrainingData, network: TrainedNetwork, hearing: np.ndarray
) -> None:
    words = Streams(data, 0).words
    for late in (0, 0.4):
        say(hearing, 0, (int(words.begin[0]) + SAMPLES) / RATE + late, int(words.label[0]), frames=1)
    _, curve = measured(data, network)
    assert curve.misses[0].sum() == len(words.row) - 1
    assert curve.false_accepts[0] == 1


def test_without_keywords_there_is_nothing_to_measure(data: TrainingData, network: TrainedNetwork) -> None:
    silence = data.validation.select(np.flatnonzero(data.validation.label == 0))
    assert measure(network, replace(data, validation=silence), 0, lambda *_: None) is None


def test_the_same_seed_gives_the_same_figures_and_is_reported(data: TrainingData, network: TrainedNetwork) -> None:
    reports: list[tuple[float, float]] = []
    first = measure(network, data, 1, lambda done, total: reports.append((done, total)))
    second = measure(network, data, 1, lambda *_: None)
    assert first is not None
    assert second is not None
    assert reports == [(0, first.hours), (pytest.approx(first.hours), first.hours)]
    for one, other in zip(first.curves, second.curves, strict=True):
        assert np.array_equal(one.false_accepts, other.false_accepts)
        assert np.array_equal(one.misses, other.misses)


# --- the suggestion ---------------------------------------------------------------------------------------------------


def sweep_of(*curves: tuple[int, dict[float, tuple[int, int]]]) -> Sweep:
    """Two hours with 100 keywords; curves give (false accepts, misses) from some thresholds on."""
    found = []
    for smoothing_ms, points in curves:
        steps = [max((t for t in points if t <= threshold), default=min(points)) for threshold in THRESHOLDS]
        accepts = np.array([points[step][0] for step in steps])
        misses = np.array([[points[step][1]] for step in steps])
        found.append(Curve(smoothing_ms, accepts, misses))
    return Sweep(7200, 1000, ("up",), np.array([100]), 10, 10, tuple(found))


def test_the_fewest_misses_with_one_false_accept_an_hour_are_suggested() -> None:
    sweep = sweep_of((0, {0.05: (50, 0), 0.6: (3, 5), 0.8: (2, 9), 0.9: (0, 30)}))
    assert sweep.suggestion().model_dump() == {"threshold": 0.85, "smoothing_ms": 0}


def test_smoothing_is_suggested_where_it_helps() -> None:
    sweep = sweep_of((0, {0.05: (9, 0), 0.5: (2, 9)}), (200, {0.05: (9, 0), 0.5: (2, 4), 0.7: (1, 9)}))
    suggestion = sweep.suggestion()
    assert suggestion.smoothing_ms == 200
    assert 0.5 <= suggestion.threshold < 0.7


def test_a_network_that_cannot_be_quiet_gets_the_point_with_the_fewest_errors() -> None:
    sweep = sweep_of((0, {0.05: (500, 0), 0.4: (20, 10), 0.7: (10, 30), 0.9: (0, 90)}))
    assert 0.4 <= sweep.suggestion().threshold < 0.7
