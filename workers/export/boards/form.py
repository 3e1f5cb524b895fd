"""A board's program as a form of a trained network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edgewise.spec.run import AudioPreprocessing
from workers.engine.errors import EngineError
from workers.engine.features import FloatArray
from workers.engine.weights import TrainedNetwork
from workers.export.boards.host import Host, compile_for_this_machine
from workers.export.boards.image import Board, write_image
from workers.export.c.package import Library

HERE = "session"
"""The program for this machine, beside the image. It and the C library stay out of the archive."""


@dataclass(frozen=True)
class Program:
    """A program that serves the client, made for a board and for this machine from the same sources."""

    board: Board
    library: Library

    def write(self, folder: Path, trained: TrainedNetwork) -> None:
        """Write the image, and what it is proved by.

        Raises:
            EngineError: the client cannot cut audio as the network wants it, a compiler is not installed or fails, or
                the network is too large for the board.
        """
        slices = clip_slices(trained)
        sources = self.library.write_sources(folder, trained)
        write_image(self.board, sources, slices, folder)
        compile_for_this_machine(sources, slices, folder / HERE)

    def load(self, folder: Path) -> Callable[[FloatArray], FloatArray]:
        """Talk to the program for this machine: audio of whole clips (clips, samples) → logits (clips, labels)."""

        def logits(audio: FloatArray) -> FloatArray:
            with Host(folder / "src", folder / HERE) as host:
                return host.run(audio)

        return logits


def clip_slices(trained: TrainedNetwork) -> int:
    """Return how many strides of audio the client sends of a clip, beside what the first window needs.

    Raises:
        EngineError: the client would cut audio elsewhere: it demands whole samples of the overlap of two windows, and
            rounds down where the engine rounds to the nearest.
    """
    preprocessing = trained.preprocessing
    if not cuts_as_the_client(preprocessing):
        raise EngineError(
            "client-cuts-differently",
            f"Windows of {preprocessing.window_size_ms:g} ms every {preprocessing.window_stride_ms:g} ms are no whole "
            f"samples at {preprocessing.sample_rate:,} Hz, and the client sends whole samples to boards.",
            "Train a run whose window and stride are whole samples, such as 40 and 20 ms.",
        )
    return preprocessing.num_frames(trained.clip_samples)


def cuts_as_the_client(preprocessing: AudioPreprocessing) -> bool:
    """Whether `MicroRunner.prime_inputs` of the client cuts audio where windows begin."""
    stride_ms, rate = preprocessing.window_stride_ms, preprocessing.sample_rate
    primer = (preprocessing.window_size_ms - stride_ms) * rate / 1000
    return (
        primer == preprocessing.window_samples - preprocessing.stride_samples
        and int(rate * 1e-3 * stride_ms) == preprocessing.stride_samples
    )
