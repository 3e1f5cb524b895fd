"""Batches are a pure function of data, parameters and step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.unit.engine.tones import run_parameters, tones, write_pack
from workers.engine import batches
from workers.engine.batches import NARROWEST_HERTZ, BatchSource, low_pass, plain_features
from workers.engine.data import TrainingData
from workers.engine.features import FeatureExtractor

QUIET = {
    "noise_probability": 0, "shift_ms": 0, "gain_db": 0, "speed_percentage": 0, "narrowband_probability": 0,
    "equalizer_db": 0, "spec_time_masks": 0, "spec_frequency_masks": 0,
}  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TrainingData:
    return tones(tmp_path_factory.mktemp("tones"))


def source(data: TrainingData, **changes: Any) -> BatchSource:
    return BatchSource(data, run_parameters(**changes))


def test_a_step_always_has_the_same_batch(data: TrainingData) -> None:
    one, other = source(data), source(data)
    other.batch(99)
    for step in (0, 7, 123_456):
        features, labels = one.batch(step)
        again, again_labels = other.batch(step)
        assert np.array_equal(features, again)
        assert np.array_equal(labels, again_labels)
        assert np.isfinite(features).all()


@pytest.mark.parametrize(("seed", "step"), [(0, 8), (1, 7), (2**31 - 1, 7)])
def test_other_steps_and_seeds_have_other_batches(data: TrainingData, seed: int, step: int) -> None:
    features, _ = source(data).batch(7)
    for clip in source(data, seed=seed).batch(step)[0]:
        assert np.abs(features - clip).max(axis=(1, 2)).min() > 1e-3


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_dispatches_are_batches_in_order(data: TrainingData, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "THREADS", threads)
    plan = [(3, 2), (5, 1), (6, 4)]
    seen = []
    for dispatch in source(data).dispatches(plan):
        seen.append((dispatch.first, dispatch.count))
        for index in range(dispatch.count):
            features, labels = source(data).batch(dispatch.first + index)
            assert np.array_equal(dispatch.features[index], features)
            assert np.array_equal(dispatch.labels[index], labels)
    assert seen == plan


def test_who_stops_early_does_not_wait(data: TrainingData) -> None:
    used = source(data)
    dispatches = used.dispatches([(0, 1), *((step, 1) for step in range(1, 1000))])
    next(dispatches)
    dispatches.close()
    assert list(dispatches) == []


def test_a_failure_in_the_thread_reaches_the_caller(data: TrainingData, monkeypatch: pytest.MonkeyPatch) -> None:
    used = source(data)
    monkeypatch.setattr(used, "batch", lambda step: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        next(used.dispatches([(0, 1)]))


@pytest.mark.parametrize("masks", [0, 2])
def test_examples_are_the_batch_with_its_sound(data: TrainingData, masks: int) -> None:
    used = source(data, spec_time_masks=masks, spec_frequency_masks=masks, equalizer_db=0)
    examples = used.examples(7)
    features, labels = used.batch(7)
    assert np.array_equal(examples.features, features)
    assert np.array_equal(examples.labels, labels)
    assert np.array_equal(data.train.label[examples.rows], labels)
    assert examples.audio.shape == (len(labels), data.clip_samples)
    heard = FeatureExtractor(run_parameters().preprocessing)(examples.audio)
    assert np.array_equal(heard, features) == (masks == 0)


def test_rare_labels_weigh_as_much_as_frequent_ones(data: TrainingData) -> None:
    words = data.train.label != 2
    rare = data.train.select([*np.flatnonzero(words), np.flatnonzero(~words)[0]])
    uneven = TrainingData(
        data.labels, data.sample_rate, data.clip_samples, rare, data.validation, data.test, data.noise
    )
    drawn = np.concatenate([source(uneven, batch_size=64).batch(step)[1] for step in range(25)])
    shares = np.bincount(drawn, minlength=4) / len(drawn)
    assert shares == pytest.approx([0.25] * 4, abs=0.05)


def test_without_augmentation_clips_are_as_they_are(data: TrainingData) -> None:
    parameters = run_parameters(**QUIET)
    plain = plain_features(data.train, data.clip_samples, FeatureExtractor(parameters.preprocessing))
    features, labels = BatchSource(data, parameters).batch(0)
    for clip, label in zip(features, labels, strict=True):
        same_label = plain[data.train.label == label]
        assert np.abs(same_label - clip).max(axis=(1, 2)).min() < 1e-4


@pytest.mark.parametrize("masks", [0, 2])
def test_cached_features_give_the_same_batches(data: TrainingData, tmp_path: Path, masks: int) -> None:
    parameters = run_parameters(**QUIET | {"spec_time_masks": masks, "spec_frequency_masks": masks})
    computed = BatchSource(data, parameters)
    cached = [BatchSource(data, parameters, tmp_path) for _ in range(2)]
    assert len(list(tmp_path.iterdir())) == 1
    for step in (0, 5, 5):
        for used in cached:
            for found, expected in zip(used.batch(step), computed.batch(step), strict=True):
                assert np.array_equal(found, expected)


def test_cached_features_are_told_apart(data: TrainingData, tmp_path: Path) -> None:
    """By the clips, their cut, and the preprocessing; and what lies there is not computed again."""
    extract = FeatureExtractor(run_parameters().preprocessing)
    other = FeatureExtractor(run_parameters(mel_num_bins=9).preprocessing)
    wanted = [(data.train, 2000, extract), (data.test, 2000, extract), (data.test, 1000, extract),
              (data.test, 2000, other)]  # fmt: skip
    for clips, samples, extractor in wanted * 2:
        found = plain_features(clips, samples, extractor, tmp_path)
        assert isinstance(found.base, np.memmap)
        assert np.array_equal(found, plain_features(clips, samples, extractor))
    written = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert len(written) == 4
    plain_features(*wanted[0], tmp_path)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == written


def test_augmented_audio_is_never_cached(data: TrainingData, tmp_path: Path) -> None:
    parameters = run_parameters(**QUIET | {"gain_db": 3})
    features, _ = BatchSource(data, parameters, tmp_path).batch(0)
    assert np.array_equal(features, BatchSource(data, parameters).batch(0)[0])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "change",
    [
        {"noise_probability": 1},
        {"shift_ms": 50},
        {"gain_db": 10},
        {"speed_percentage": 30},
        {"narrowband_probability": 1},
        {"equalizer_db": 6},
        {"spec_time_masks": 3},
        {"spec_frequency_masks": 3},
    ],
)
def test_each_augmentation_changes_clips(data: TrainingData, change: dict[str, float]) -> None:
    plain, labels = source(data, **QUIET).batch(0)
    changed, changed_labels = source(data, **QUIET | change).batch(0)
    assert np.isfinite(changed).all()
    assert np.array_equal(labels, changed_labels)  # the choice of labels comes first
    assert not np.allclose(plain, changed, atol=1e-3)


def test_a_narrow_band_keeps_what_lies_below_it(data: TrainingData) -> None:
    used = source(data, batch_size=20, narrowband_probability=1)
    audio = np.random.default_rng(0).standard_normal((20, data.clip_samples)).astype(np.float32)
    narrowed = audio.copy()
    low_pass(narrowed, used._bandwidths(0))
    spectra, before = np.abs(np.fft.rfft(narrowed)), np.abs(np.fft.rfft(audio))
    kept = int(spectra.shape[1] * NARROWEST_HERTZ / (data.sample_rate / 2))
    assert spectra[:, :kept] == pytest.approx(before[:, :kept], abs=1e-2)
    assert spectra[:, -1].max() < 1e-2
    assert len(set((spectra > 1e-2).sum(axis=1))) > 10


def test_as_many_clips_are_narrowed_as_were_asked_for(data: TrainingData) -> None:
    kept = source(data, batch_size=1000, narrowband_probability=0.4)._bandwidths(3)
    assert np.mean(kept < 1) == pytest.approx(0.4, abs=0.05)
    audio = np.random.default_rng(0).standard_normal((1000, 64)).astype(np.float32)
    narrowed = audio.copy()
    low_pass(narrowed, kept)
    assert np.array_equal((narrowed == audio).all(axis=1), kept == 1)


def test_an_equalizer_is_smooth_and_within_its_bounds(data: TrainingData) -> None:
    log_mel = {"dct_num_features": 0, "log_epsilon": 1e-12, "mel_num_bins": 40}
    plain, _ = source(data, **QUIET, **log_mel).batch(7)
    changed, _ = source(data, **QUIET | log_mel | {"equalizer_db": 6}).batch(7)
    decibels = (changed - plain) * 20 / np.log(10)
    audible = plain > np.log(1e-9)
    assert np.abs(decibels[audible]).max() <= 6.001
    assert np.ptp(np.where(audible, decibels, np.nan)[0], axis=0)[audible[0].all(axis=0)].max() < 0.01
    assert np.abs(np.diff(decibels, axis=2))[audible[:, :, 1:] & audible[:, :, :-1]].max() < 12 / 9


def test_noise_has_the_ratio_that_was_asked_for(data: TrainingData) -> None:
    """At 0 dB speech and noise are as strong, so their sum is 3 dB stronger."""
    used = source(data, **QUIET | {"noise_probability": 1, "noise_snr_min_db": 0, "noise_snr_max_db": 0})
    generator = np.random.default_rng(0)
    audio = data.train.around(0, 0, data.clip_samples)
    louder = [np.mean(used._with_noise(audio, generator) ** 2) / np.mean(audio**2) for _ in range(50)]
    assert np.mean(louder) == pytest.approx(2, rel=0.1)


def test_digital_silence_stays_finite(data: TrainingData, tmp_path: Path) -> None:
    silent = write_pack(tmp_path / "zeros.pcm", [np.zeros(1000)] * 4, [0, 1, 2, 3])
    quiet = TrainingData(data.labels, data.sample_rate, data.clip_samples, silent, silent, silent, data.noise)
    features, _ = source(quiet, noise_probability=1).batch(0)
    assert np.isfinite(features).all()
    no_noise = TrainingData(
        data.labels, data.sample_rate, data.clip_samples, silent, silent, silent, data.noise.select(np.arange(0))
    )
    assert np.isfinite(source(no_noise, noise_probability=1).batch(0)[0]).all()
