"""The other end of the serial line: the program of the boards on this machine, and a host that talks to it.

The host does what the client's `MicroRunner` does, byte by byte, so that an artifact can be proved where the client is
not installed. The tests let the client itself talk to the same program.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import numpy.typing as npt

from workers.engine.features import FloatArray
from workers.export.boards.image import PROGRAM, SOURCES
from workers.export.c.host import compile_program
from workers.export.c.library import sizes

SUCCESS, FAILURE, REQUEST, WITHOUT_STATES, WITH_STATES = b"S", b"F", b"R", b"N", b"T"


def compile_for_this_machine(sources: Path, clip_slices: int, target: Path, *flags: str) -> None:
    """Compile the program with the layer whose serial port is standard input and output.

    Args:
        sources: of the C library.
        clip_slices: strides of audio in a clip, beside what the first window needs.
        target: the program.
        flags: for the compiler.

    Raises:
        EngineError: there is no compiler, or it fails.
    """
    options = (f"-I{SOURCES}", f"-DCLIP_SLICES={clip_slices}u", *flags)
    compile_program(sources, target, *options, str(SOURCES / PROGRAM), str(SOURCES / "posix.c"))


class Host:
    """A board's program, started by a command, and the host that talks to it; a context manager."""

    def __init__(self, sources: Path, *command: str | Path) -> None:
        """Start the board whose serial port is the command's input and output; `sources` are of its C library."""
        size = sizes(sources)
        self._stride, self._labels = size["STRIDE_SAMPLES"], size["LABELS"]
        self._primer = size["WINDOW_SAMPLES"] - self._stride
        self._states = np.zeros(size["STATE_VALUES"] + (size["PERIOD"] > 1), np.float32)
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __enter__(self) -> Host:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the program."""
        self._process.kill()
        self._process.communicate()

    def run(self, audio: FloatArray) -> FloatArray:
        """Return the scores of whole clips: (clips, samples) → (clips, labels)."""
        slices = (audio.shape[1] - self._primer) // self._stride
        self._send(np.array([len(audio) * slices]))
        return np.stack([self._clip(clip, slices) for clip in audio])

    def _clip(self, clip: FloatArray, slices: int) -> FloatArray:
        self._send(clip[: self._primer])
        scores = np.zeros(self._labels, np.float32)
        for index, part in enumerate(clip[self._primer :][: slices * self._stride].reshape(slices, -1)):
            self._send(part, self._states if index == 0 else None)
            scores = self._receive()
        return scores

    def _send(self, values: npt.NDArray[np.floating], states: FloatArray | None = None) -> None:
        kind = WITHOUT_STATES if states is None else WITH_STATES
        message = kind + np.append(values, [] if states is None else states).astype("<f4").tobytes()
        while True:
            if self._read(1) != REQUEST:
                self._write(FAILURE)
                continue
            self._write(message)
            if self._read(1) == SUCCESS:
                return

    def _receive(self) -> FloatArray:
        self._write(REQUEST)
        kind, scores = self._read(1), self._read(4 * self._labels)
        if kind != WITH_STATES:
            raise RuntimeError(f"The program answered {kind!r} where it should give scores.")
        self._write(SUCCESS)
        return np.frombuffer(scores, "<f4").astype(np.float32)

    def _write(self, message: bytes) -> None:
        assert self._process.stdin
        self._process.stdin.write(message)
        self._process.stdin.flush()

    def _read(self, count: int) -> bytes:
        assert self._process.stdout
        message = self._process.stdout.read(count)
        if len(message) < count:
            raise RuntimeError(f"The program stopped with {self._process.wait()}.")
        return message
