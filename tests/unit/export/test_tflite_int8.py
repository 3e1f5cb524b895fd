"""TFLite in integers: close to what was trained, and laid out as the client reads it."""

from __future__ import annotations

import math
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from edgewise.spec.network import LMUStage, NetworkSpec
from tests.networks import CLIP_SAMPLES, LABELS, random_audio, random_network
from tests.unit.export.test_c_library import EVERY_KIND
from workers.engine.errors import EngineError
from workers.engine.features import FeatureExtractor
from workers.engine.networks import fold, streaming_step
from workers.engine.weights import TrainedNetwork
from workers.export import tflite
from workers.export.tflite_int8 import Scales, integer_model

CALIBRATION = random_audio(20, CLIP_SAMPLES, seed=1)


@pytest.fixture(scope="module")
def trained() -> TrainedNetwork:
    return random_network("kws-small")


@pytest.fixture(scope="module")
def written(trained: TrainedNetwork, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tflite")
    tflite.write_int8(folder, trained, CALIBRATION)
    return folder


def details(folder: Path) -> tuple[list[dict], list[dict]]:
    interpreter = tf.lite.Interpreter(model_path=str(folder / tflite.MODEL))
    return interpreter.get_input_details(), interpreter.get_output_details()


@pytest.mark.parametrize("network", ["kws-small", "kws-reference", EVERY_KIND], ids=str)
def test_scores_stay_close(tmp_path: Path, network: str | NetworkSpec) -> None:
    trained = random_network(network)
    folded = fold(trained.spec, trained.arrays)
    features = np.random.default_rng(0).normal(-4, 2, (20, 24, folded.features)).astype(np.float32)
    (tmp_path / tflite.MODEL).write_bytes(integer_model(folded, Scales.of(folded, features)))
    step = tflite.Interpreter(tmp_path / tflite.MODEL)
    before = after = [np.zeros((20, size), np.float32) for size in folded.state_shapes]
    for frame in range(24):
        expected, before = streaming_step(folded, features[:, frame], before)
        found, *after = step(features[:, frame : frame + 1], *after)
    assert np.sqrt(np.mean((found - expected) ** 2)) < 0.1 * np.std(expected)


def test_every_tensor_is_int8_with_one_scale_and_one_zero_point(written: Path) -> None:
    for tensor in chain(*details(written)):
        assert tensor["dtype"] == np.int8
        assert len(tensor["quantization_parameters"]["scales"]) == 1
        assert len(tensor["quantization_parameters"]["zero_points"]) == 1


def test_states_keep_order_and_scale_and_the_batch_varies(trained: TrainedNetwork, written: Path) -> None:
    inputs, outputs = details(written)
    states = fold(trained.spec, trained.arrays).state_shapes
    assert [tensor["shape_signature"].tolist() for tensor in inputs] == [[-1, 1, 13], *([-1, size] for size in states)]
    assert [tensor["shape_signature"].tolist() for tensor in outputs] == [
        [-1, len(LABELS)], *([-1, size] for size in states)
    ]  # fmt: skip
    scales = [[tensor["quantization"] for tensor in tensors[1:]] for tensors in (inputs, outputs)]
    assert scales[0] == scales[1]


def test_a_clip_gets_the_same_scores_alone_as_among_others(written: Path) -> None:
    run, audio = tflite.load(written), random_audio(5, CLIP_SAMPLES)
    assert np.array_equal(run(audio)[3], run(audio[3:4])[0])


@pytest.mark.parametrize("strides", [(2, 1), (3, 2), (7, 4)], ids=str)
def test_stages_behind_a_stride_wait_for_the_frames_that_are_theirs(tmp_path: Path, strides: tuple[int, ...]) -> None:
    trained = strided(strides)
    tflite.write_int8(tmp_path, trained, CALIBRATION)
    step = tflite.Interpreter(tmp_path / tflite.MODEL)
    features = FeatureExtractor(trained.preprocessing)(random_audio(1, 20 * CLIP_SAMPLES // 5))
    states = [np.zeros((1, size), np.float32) for size in fold(trained.spec, trained.arrays).state_shapes]
    period, before = math.prod(strides), np.zeros(0)
    for frame in range(2 * period + 1):
        logits, *states = step(features[:, frame : frame + 1], *states)
        assert states[0] == (frame + 1) % period
        assert frame % period == 0 or np.array_equal(logits, before)
        before = logits


def test_strides_that_eight_bits_cannot_count_are_refused(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="multiply to 256"):
        tflite.write_int8(tmp_path, strided((16, 16)), CALIBRATION)


def test_the_same_input_gives_the_same_bytes(trained: TrainedNetwork, written: Path, tmp_path: Path) -> None:
    tflite.write_int8(tmp_path, trained, CALIBRATION)
    assert (tmp_path / tflite.MODEL).read_bytes() == (written / tflite.MODEL).read_bytes()


def test_nothing_but_silence_to_calibrate_with_gives_finite_scores(trained: TrainedNetwork, tmp_path: Path) -> None:
    tflite.write_int8(tmp_path, trained, np.zeros((2, CLIP_SAMPLES), np.float32))
    assert np.isfinite(tflite.load(tmp_path)(random_audio(2, CLIP_SAMPLES))).all()


def strided(strides: tuple[int, ...]) -> TrainedNetwork:
    stages = [LMUStage(order=2, theta=4, units=4, stride=stride) for stride in strides]
    return random_network(NetworkSpec(stages=[*stages, LMUStage(order=2, theta=4, units=4)]))
