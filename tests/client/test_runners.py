"""The real `nengo_edge` runners compute what our own evaluation computes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgewise.spec.run import AudioPreprocessing
from tests.client.conftest import Unpacked
from tests.networks import CLIP_SAMPLES, random_audio, random_network
from workers.engine.data import Clips, starts
from workers.engine.inference import infer
from workers.engine.weights import TrainedNetwork
from workers.export import tflite

TOLERANCE = 1e-4


def test_runners_equal_our_evaluation_whole_and_in_chunks(artifact: Unpacked) -> None:
    clips = artifact.test
    begin = starts(clips, CLIP_SAMPLES)
    audio = np.stack([clips.around(row, int(begin[row]), CLIP_SAMPLES) for row in range(len(clips))])[:32]
    expected = infer(artifact.trained, clips)
    answers = artifact.ask(
        {
            "saved_model/32 clips": audio,
            "saved_model/1 clip": audio[:1],
            "tflite/32 clips": audio,
            "tflite/1 clip": audio[:1],
            "tflite:3200,6400/32 clips": audio,
            "tflite:640,961,4000,4321,7600/1 clip": audio[:1],
        }
    )
    for name, scores in answers.items():
        assert scores.dtype == np.float32
        assert scores.shape == expected[: len(scores)].shape
        assert np.abs(scores - expected[: len(scores)]).max() < TOLERANCE, name


def test_try_it_passes(artifact: Unpacked) -> None:
    lines = artifact.run("try_it.py").splitlines()
    assert [line.split()[0] for line in lines[:4]] == ["ok"] * 4
    assert len([line for line in lines if line.startswith("clip ")]) == 10


def test_try_it_tells_a_file_that_was_damaged(unpack: Callable[..., Unpacked], small: Unpacked) -> None:
    artifact = unpack(random_network("kws-small", seed=1), small.test, "tflite")
    (artifact.folder / "model.tflite").write_bytes((small.folder / "model.tflite").read_bytes())
    with pytest.raises(AssertionError, match="DIFFERS"):
        artifact.run("try_it.py")


@pytest.mark.parametrize("format_name", ["savedmodel", "tflite"])
def test_try_it_passes_for_a_format_with_one_form(
    unpack: Callable[..., Unpacked], small: Unpacked, format_name: str
) -> None:
    unpack(small.trained, small.test, format_name).run("try_it.py")


def test_int8_gets_the_labels_of_the_trained_network_from_the_client(
    unpack: Callable[..., Unpacked], trained: TrainedNetwork, speech: Clips
) -> None:
    # With random weights scores lie too close together for a label to mean anything.
    int8 = unpack(trained, speech, "tflite", precision="int8")
    begin = starts(speech, trained.clip_samples)
    audio = np.stack([speech.around(row, int(begin[row]), trained.clip_samples) for row in range(len(speech))])[:32]
    expected = infer(trained, speech)[:32]
    whole, chunks = int8.ask({"tflite": audio, "tflite:3200,6400": audio}).values()
    assert (whole.argmax(axis=1) != expected.argmax(axis=1)).sum() <= 1
    assert np.array_equal(whole, chunks)
    int8.run("try_it.py")


def test_int8_is_computed_by_the_client_s_tensorflow_as_by_ours(artifact: Unpacked, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(artifact.folder, tmp_path / "int8"))
    audio = random_audio(8, CLIP_SAMPLES)
    tflite.write_int8(folder, artifact.trained, audio)
    ours = tflite.load(folder)(audio)
    theirs = replace(artifact, folder=folder).ask({"tflite": audio})["tflite"]
    # Kernels round differently, by a step or two in each layer.
    assert np.abs(theirs - ours).max() <= 0.05 * max(1, np.ptp(ours))


def test_other_features_and_rates_run_too(unpack: Callable[..., Unpacked], small: Unpacked) -> None:
    trained = random_network(
        "kws-small", sample_rate=8000, mel_upper_edge_hertz=3800, window_size_ms=30, window_stride_ms=10,
        dct_num_features=12,
    )  # fmt: skip
    clips = small.test
    artifact = unpack(trained, clips)
    audio = np.stack([clips.around(row, 0, CLIP_SAMPLES) for row in range(len(clips))])
    answers = artifact.ask({"saved_model": audio, "tflite": audio, "tflite:800,1600": audio})
    for name, scores in answers.items():
        assert np.abs(scores - infer(trained, clips)).max() < TOLERANCE, name
    artifact.run("try_it.py")


def test_audio_in_pieces_shorter_than_a_window_begins_with_silence(small: Unpacked) -> None:
    audio = random_audio(1, 3200)
    blocks = ",".join(str(end) for end in range(320, 3200, 320))
    answers = small.ask(
        {
            f"tflite:{blocks}/20 ms each": audio,
            "tflite/after silence": np.concatenate([np.zeros((1, 320), np.float32), audio], axis=1),
            "tflite/10 ms": audio[:, :160],
            "saved_model/10 ms": audio[:, :160],
        }
    )
    in_blocks, whole, streamed, clip = answers.values()
    assert np.abs(in_blocks - whole).max() < TOLERANCE
    assert np.abs(streamed - clip).max() < TOLERANCE


def test_parameters_hold_exactly_what_the_client_splats_into_its_extractor(small: Unpacked) -> None:
    parameters = json.loads((small.folder / "parameters.json").read_text())
    assert set(parameters["preprocessing"]) == set(AudioPreprocessing.model_fields)
    assert len(parameters["preprocessing"]) == 8
    code = (
        "import packaging.version; from pathlib import Path; from nengo_edge import config; "
        "from nengo_edge.device_modules.np_mfcc import LogMelFeatureExtractor; "
        "LogMelFeatureExtractor(**config.load_params(Path('.'))[1])"
    )
    small.run("-W", "error::UserWarning", "-c", code)
