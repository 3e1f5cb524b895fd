"""The real runners of boards flash an image, talk to a board over a pseudo-terminal, and get what the network computes.

The board is the program that every image holds: as a program of this machine, and on a Cortex-M4F that qemu emulates.
"""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
import tty
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile

from edgewise.spec.detection import OperatingPoint
from tests.client.conftest import Unpacked, run_as_client
from tests.networks import CLIP_SAMPLES, random_audio
from workers.engine.data import Clips, starts
from workers.engine.inference import infer
from workers.engine.weights import TrainedNetwork
from workers.export.boards.form import clip_slices
from workers.export.boards.host import compile_for_this_machine
from workers.export.boards.image import DISCO, EMULATED, emulator, write_image
from workers.export.c.emulator import why_not
from workers.export.c.package import SOURCES_ALONE, Library

PROBE = Path(__file__).parent / "board_probe.py"
REAL_CLIPS = 20


@pytest.fixture(scope="module")
def real_clips(shared_audio: Path, speech: Clips, tmp_path_factory: pytest.TempPathFactory) -> Clips:
    """Twenty recordings of digits, or of words spoken by a program where those are not at hand."""
    archive = shared_audio / "spoken_words.tar.gz"
    if not archive.exists():
        return speech.select(np.arange(REAL_CLIPS))
    pack, rows, end = tmp_path_factory.mktemp("real") / "clips.pcm", [], 0
    with tarfile.open(archive) as file, pack.open("wb") as packed:
        digits = (member for member in file if "/zero/" in member.name or "/one/" in member.name)
        for member, _ in zip(digits, range(REAL_CLIPS), strict=False):
            content = file.extractfile(member)
            assert content is not None
            samples, _ = soundfile.read(io.BytesIO(content.read()), dtype="int16")
            packed.write(samples.astype("<i2").tobytes())
            rows.append((0, end, len(samples), 1))
            end += len(samples)
    assert len(rows) == REAL_CLIPS
    return Clips.of((pack,), rows)


@pytest.fixture(scope="module")
def sources(trained: TrainedNetwork, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The C library of the trained network."""
    library = Library("float32", SOURCES_ALONE, OperatingPoint(), random_audio(4, CLIP_SAMPLES))
    return library.write_sources(tmp_path_factory.mktemp("library"), trained)


@pytest.fixture(scope="module")
def client_folder(unpack: Callable[..., Unpacked], trained: TrainedNetwork, speech: Clips) -> Path:
    """An artifact's parameters, which all formats share, and an image that nobody flashes: the board runs already."""
    folder = unpack(trained, speech, "tflite", precision="float32").folder
    (folder / DISCO.file).write_bytes(b"image")
    (folder / "drive").mkdir()
    return folder


@contextmanager
def connected(*command: str | Path) -> Iterator[str]:
    """Start a board with a pseudo-terminal at its serial port, and give the name of the other end."""
    board_end, host_end = os.openpty()
    tty.setraw(host_end)
    process = subprocess.Popen(command, stdin=board_end, stdout=board_end)
    try:
        yield os.ttyname(host_end)
    finally:
        process.kill()
        process.wait()
        os.close(board_end)
        os.close(host_end)


def audio_of(clips: Clips) -> np.ndarray:
    begin = starts(clips, CLIP_SAMPLES)
    return np.stack([clips.around(row, int(begin[row]), CLIP_SAMPLES) for row in range(len(clips))])


def heard(runner: str, folder: Path, python: str, port: str, **sessions: np.ndarray) -> dict[str, np.ndarray]:
    """Let a class of the client flash the board and talk to it in one session after the other."""
    np.savez(folder / "sessions.npz", **sessions)  # type: ignore[arg-type]
    run_as_client(folder, python, str(PROBE), runner, ".", port, "drive", "sessions.npz", "answers.npz")
    return dict(np.load(folder / "answers.npz"))


def test_disco_runner_gets_the_labels_of_the_trained_network_for_real_clips(
    trained: TrainedNetwork, real_clips: Clips, sources: Path, client_folder: Path, client_python: str, tmp_path: Path
) -> None:
    compile_for_this_machine(sources, clip_slices(trained), tmp_path / "board")
    audio, expected = audio_of(real_clips), infer(trained, real_clips)
    with connected(tmp_path / "board") as port:
        answers = heard("DiscoRunner", client_folder, client_python, port, all=audio, first=audio[:1])
    assert np.abs(answers["all"] - expected).max() < 1e-3
    assert np.array_equal(answers["all"].argmax(axis=1), expected.argmax(axis=1))
    assert np.array_equal(answers["first"], answers["all"][:1])
    assert (client_folder / "drive" / DISCO.file).read_bytes() == (client_folder / DISCO.file).read_bytes()


@pytest.mark.skipif(why_not() is not None, reason=str(why_not()))
def test_disco_runner_gets_them_from_the_emulated_board_too(
    trained: TrainedNetwork, real_clips: Clips, sources: Path, client_folder: Path, client_python: str, tmp_path: Path
) -> None:
    write_image(EMULATED, sources, clip_slices(trained), tmp_path)
    with connected(*emulator(tmp_path / EMULATED.file)) as port:
        answers = heard("DiscoRunner", client_folder, client_python, port, all=audio_of(real_clips))
    expected = infer(trained, real_clips)
    assert np.abs(answers["all"] - expected).max() < 1e-3
    assert np.array_equal(answers["all"].argmax(axis=1), expected.argmax(axis=1))


def test_the_archive_for_a_board_holds_what_its_runner_reads_and_nothing_else(
    unpack: Callable[..., Unpacked], trained: TrainedNetwork, speech: Clips, sources: Path, tmp_path: Path
) -> None:
    artifact = unpack(trained, speech, "nordic", precision="float32")
    with zipfile.ZipFile(artifact.folder / "artifact.zip") as archive:
        assert archive.namelist() == ["nengoedge_project.hex", "parameters.json"]
    compile_for_this_machine(sources, clip_slices(trained), tmp_path / "board")
    (artifact.folder / "drive").mkdir()
    with connected(tmp_path / "board") as port:
        answers = heard("NordicRunner", artifact.folder, artifact.python, port, one=audio_of(speech)[:1])
    assert np.abs(answers["one"] - infer(trained, speech)[:1]).max() < 1e-3
