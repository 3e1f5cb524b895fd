"""The program of the boards hears clips as the C library does, whatever the host says, and its images are well made."""

from __future__ import annotations

import os
import subprocess
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from edgewise.spec.network import DenseStage, LMUStage, NetworkSpec
from tests.networks import CLIP_SAMPLES, LABELS, random_audio, random_network
from tests.unit.export.test_c_library import STRICT, written
from workers.engine.errors import EngineError
from workers.engine.features import hann_window
from workers.export.boards.form import clip_slices
from workers.export.boards.host import Host, compile_for_this_machine
from workers.export.boards.image import DISCO, EMULATED, NORDIC, PROGRAM, SOURCES, Board, emulator, write_image
from workers.export.c.emulator import why_not
from workers.export.c.host import FloatArray, Spotter, compile_program, compile_shared

FUZZ = Path(__file__).with_name("fuzz_board.c")
SLICES = 24
"""Of clips of half a second, with windows of 40 ms every 20 ms."""
STRIDE, PRIMER = 320, 320

one_library = pytest.mark.parametrize("sources", ["int8"], indirect=True)
"""For what takes seconds, and has nothing to do with the arithmetic."""


@pytest.fixture(scope="module", params=["float32", "int8"])
def sources(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the C library."""
    return written(random_network("kws-small"), tmp_path_factory.mktemp("library"), request.param)


@pytest.fixture(scope="module")
def program(sources: Path) -> Path:
    """The program that runs on this machine."""
    compile_for_this_machine(sources, SLICES, sources.parent / "program", *STRICT)
    return sources.parent / "program"


@pytest.fixture(scope="module")
def spotter(sources: Path) -> Spotter:
    """The library alone."""
    compile_shared(sources, sources.parent / "here.so")
    return Spotter(sources.parent / "here.so")


def heard_by(spotter: Spotter, audio: FloatArray) -> FloatArray:
    """What the library gives for whole clips."""
    found = []
    for clip in audio:
        spotter.reset()
        spotter.feed(clip)
        found.append(spotter.logits(len(LABELS)))
    return np.array(found)


def test_clips_are_heard_as_by_the_library_session_after_session(
    sources: Path, program: Path, spotter: Spotter
) -> None:
    audio = random_audio(5, CLIP_SAMPLES)
    expected = heard_by(spotter, audio)
    with Host(sources, program) as host:
        for first, end in ((0, 5), (1, 2), (3, 5)):
            assert np.array_equal(host.run(audio[first:end]), expected[first:end])


def test_one_clip_may_have_another_length(sources: Path, program: Path, spotter: Spotter) -> None:
    for samples in (PRIMER + STRIDE, CLIP_SAMPLES + 7 * STRIDE):
        audio = random_audio(1, samples)
        with Host(sources, program) as host:
            assert np.array_equal(host.run(audio), heard_by(spotter, audio))


class LateHost(Host):
    """A host that finds what the board has said so far in its buffer."""

    buffer = b""

    def come_late(self, invitations: int) -> None:
        """Wait until the board has invited so often."""
        self.buffer = super()._read(invitations)

    def _read(self, count: int) -> bytes:
        found, self.buffer = self.buffer[:count], self.buffer[count:]
        return found + super()._read(count - len(found))


@one_library
@pytest.mark.parametrize("invitations", [2, 3])
def test_a_host_that_comes_late_is_heard_though_it_finds_old_invitations(
    sources: Path, program: Path, spotter: Spotter, invitations: int
) -> None:
    """It takes each of them for a new one, as the client does, and says the same several times."""
    audio = random_audio(1, CLIP_SAMPLES)
    with LateHost(sources, program) as host:
        host.come_late(invitations)
        assert np.array_equal(host.run(audio), heard_by(spotter, audio))


@one_library
def test_the_next_host_is_heard_after_one_that_went_in_the_middle(
    sources: Path, program: Path, spotter: Spotter
) -> None:
    audio = random_audio(1, CLIP_SAMPLES)
    slices, primer = np.array([SLICES]), audio[0, :PRIMER]
    with ExitStack() as stack:
        after_the_number, within_a_burst, before_the_scores, with_nonsense = (
            stack.enter_context(Host(sources, program)) for _ in range(4)
        )
        for host in (after_the_number, within_a_burst, before_the_scores):
            host._send(slices)
        within_a_burst._write(b"N" + primer.tobytes()[:777])
        before_the_scores._send(primer)
        before_the_scores._send(audio[0, PRIMER : PRIMER + STRIDE])
        with_nonsense._write(bytes(range(256)) * 10)
        # The board gives up after ten seconds: the four wait at the same time.
        for host in (after_the_number, within_a_burst, before_the_scores, with_nonsense):
            assert np.array_equal(host.run(audio), heard_by(spotter, audio))


def test_scores_are_sent_again_when_they_were_lost(sources: Path, program: Path, spotter: Spotter) -> None:
    audio = random_audio(1, PRIMER + STRIDE)
    with Host(sources, program) as host:
        host._send(np.array([1]))
        host._send(audio[0, :PRIMER])
        host._send(audio[0, PRIMER:])
        host._write(b"R")
        host._read(1 + 4 * len(LABELS))
        host._write(b"F")
        assert np.array_equal(host._receive(), heard_by(spotter, audio)[0])


def test_no_host_breaks_it(sources: Path, tmp_path: Path) -> None:
    """Any floats, wrong controls, silence and nonsense, under two sanitizers."""
    sanitizers = ("-g", "-O1", "-fsanitize=address,undefined,float-cast-overflow", "-fno-sanitize-recover=all")
    options = (f"-I{SOURCES}", "-DCLIP_SLICES=5u", str(SOURCES / PROGRAM), str(FUZZ))
    compile_program(sources, tmp_path / "fuzz", *STRICT, *sanitizers, *options)
    for seed in range(3):
        variables = {**os.environ, "SEED": str(seed), "READS": "300000"}
        done = subprocess.run([tmp_path / "fuzz"], env=variables, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")


# --- images -----------------------------------------------------------------------------------------------------------


def flash_of(board: Board, image: Path) -> tuple[int, bytes]:
    """Where an image lies in flash, and its bytes."""
    if board.layout == "binary":
        return {DISCO: 0x08000000, EMULATED: 0}[board], image.read_bytes()
    content, high, ended = bytearray(), 0, False
    for line in image.read_text(encoding="ascii").splitlines():
        record = bytes.fromhex(line.removeprefix(":"))
        assert line.startswith(":")
        assert sum(record) % 256 == 0
        assert record[0] == len(record) - 5
        address, kind, data = int.from_bytes(record[1:3], "big"), record[3], record[4:-1]
        assert not ended
        if kind == 0:
            assert high + address == len(content)  # no gaps
            content += data
        elif kind == 4:
            high = int.from_bytes(data, "big") << 16
        elif kind == 2:
            high = int.from_bytes(data, "big") << 4
        else:
            assert kind == 1
            ended = True
    assert ended
    return 0, bytes(content)


@pytest.mark.parametrize(
    ("board", "ram_end", "flash_size"),
    [(DISCO, 0x20000000 + 320 * 1024, 1024 * 1024), (NORDIC, 0x20000000 + 256 * 1024, 1024 * 1024)],
    ids=lambda value: getattr(value, "layer", None),
)
def test_an_image_begins_with_a_vector_table_and_holds_the_tables(
    sources: Path, tmp_path: Path, board: Board, ram_end: int, flash_size: int
) -> None:
    write_image(board, sources, SLICES, tmp_path)
    begin, content = flash_of(board, tmp_path / board.file)
    stack, *handlers = np.frombuffer(content[:64], "<u4").tolist()
    assert stack == ram_end
    assert len(content) < flash_size
    for handler in (handler for handler in handlers if handler):
        assert handler % 2 == 1  # Thumb
        assert begin + 64 < handler < begin + len(content)
    window = hann_window(640).astype("<f4").tobytes()
    assert window in content


def test_a_network_that_is_too_large_for_a_board_is_refused_with_the_reason(tmp_path: Path) -> None:
    spec = NetworkSpec(title="wide", stages=[DenseStage(units=512), LMUStage(order=4, theta=8, units=128)])
    sources = written(random_network(spec), tmp_path, "float32")
    with pytest.raises(EngineError, match="too large for the memory of the nRF52840 DK"):
        write_image(NORDIC, sources, SLICES, tmp_path)


@pytest.mark.skipif(why_not() is not None, reason=str(why_not()))
def test_the_emulated_board_hears_the_same(sources: Path, spotter: Spotter, tmp_path: Path) -> None:
    write_image(EMULATED, sources, SLICES, tmp_path)
    audio = random_audio(2, CLIP_SAMPLES)
    with Host(sources, *emulator(tmp_path / EMULATED.file)) as host:
        assert np.array_equal(host.run(audio), heard_by(spotter, audio))


def test_windows_that_the_client_cuts_elsewhere_are_refused() -> None:
    assert clip_slices(random_network("kws-small")) == SLICES
    for preprocessing in (
        {"sample_rate": 48000, "window_size_ms": 100.5, "window_stride_ms": 33.3},
        {"sample_rate": 11025, "window_size_ms": 40, "window_stride_ms": 20, "mel_upper_edge_hertz": 5000},
    ):
        with pytest.raises(EngineError, match="no whole samples"):
            clip_slices(random_network("kws-small", **preprocessing))
