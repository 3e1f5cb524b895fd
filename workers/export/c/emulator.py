"""The C library on emulated microcontrollers: the same features and scores as here, and what they cost there.

`qemu-system-arm` (a package of Debian) emulates ARM's MPS2 boards. The image is built by Zig's compiler.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgewise.spec.proof import Resources
from workers.export.c.library import sizes
from workers.export.c.outside import run_program
from workers.export.c.targets import TARGETS, has_compiler, link

FloatArray = npt.NDArray[np.float32]

FILES = Path(__file__).parent / "files" / "emulator"
QEMU = "qemu-system-arm"
OUTPUT = "output.txt"
OPTIONS = (
    "-icount", "shift=0", "-display", "none", "-serial", "none", "-monitor", "none",
    "-chardev", f"file,id=output,path={OUTPUT}", "-semihosting-config", "enable=on,target=native,chardev=output",
)  # fmt: skip


@dataclass(frozen=True)
class Board:
    """A board of qemu."""

    machine: str
    megahertz: int = 25
    """What SysTick counts at."""
    flash: int = 0x00000000
    ram: int = 0x20000000


BOARDS = {
    # qemu has no MPS2 board with a Cortex-M0+: a Cortex-M3 runs its instructions, one for one.
    "cortex-m0plus": Board("mps2-an385"),
    "cortex-m4f": Board("mps2-an386"),
    "cortex-m7": Board("mps2-an500"),
    "cortex-m33": Board("mps2-an505", megahertz=20, flash=0x10000000, ram=0x38000000),
}
"""By the target that they run."""


@dataclass(frozen=True)
class Emulation:
    """What a library gave and took on a board."""

    features: npt.NDArray[np.float32]
    """(clips, frames, features)"""
    logits: npt.NDArray[np.float32]
    """(clips, labels)"""
    instructions_per_second: float
    """For each second of audio."""
    flash_bytes: int
    """Code and tables of the whole image."""
    ram_bytes: int
    """State, a block of samples, and the deepest stack."""
    stack_bytes: int
    """The deepest stack alone."""


def why_not() -> str | None:
    """Say what is missing for emulation; None where nothing is."""
    if shutil.which(QEMU) is None:
        return f"{QEMU} is not installed"
    return None if has_compiler() else "the extra `targets` is not installed"


def emulate(sources: Path, audio: npt.NDArray[np.int16], target: str = "cortex-m4f") -> Emulation:
    """Run clips on a board.

    Args:
        sources: of the library.
        audio: (clips, samples).
        target: one of `BOARDS`.

    Raises:
        TakesTooLong: the emulator does not end in time.
        EngineError: the image cannot be built, or the emulator fails.
        RuntimeError: the image does not end as it should.
    """
    board, numbers = BOARDS[target], sizes(sources)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _link(target, board, sources, audio.shape[1], folder)
        (folder / "clips.raw").write_bytes(audio.astype("<i2").tobytes())
        command = [QEMU, "-M", board.machine, *OPTIONS, "-kernel", "image.elf"]
        run_program(command, folder)
        lines = (folder / OUTPUT).read_text(encoding="ascii").splitlines()
    frames = 1 + (audio.shape[1] - numbers["WINDOW_SAMPLES"]) // numbers["STRIDE_SAMPLES"]
    if len(lines) != len(audio) * (frames + 1) + 1:
        raise RuntimeError(f"The emulated board stopped early: {' '.join(lines[-1:])}")
    *rows, costs = [[int(word, 16) for word in line.split()] for line in lines]
    high, low, flash, ram, stack = costs
    return Emulation(
        features=np.stack([_floats(rows[begin : begin + frames]) for begin in range(0, len(rows), frames + 1)]),
        logits=_floats(rows[frames :: frames + 1]),
        instructions_per_second=((high << 32) + low) * numbers["SAMPLE_RATE"] / audio.size,
        flash_bytes=flash,
        ram_bytes=ram + stack,
        stack_bytes=stack,
    )


# --- as a form --------------------------------------------------------------------------------------------------------


def load(folder: Path, target: str) -> Callable[[FloatArray], FloatArray]:
    """Return what runs the sources in `folder`: audio of whole clips (clips, samples) → logits (clips, labels)."""
    return lambda audio: emulate(folder / "src", _int16(audio), target).logits


def load_features(folder: Path, target: str) -> Callable[[FloatArray], FloatArray]:
    """Return what runs them: audio of whole clips (clips, samples) → features (clips, frames, features)."""
    return lambda audio: emulate(folder / "src", _int16(audio), target).features


def measure(folder: Path, audio: FloatArray, target: str) -> Resources:
    """Measure what they take while they hear `audio` (clips, samples)."""
    emulation = emulate(folder / "src", _int16(audio), target)
    return Resources(
        target=target,
        processor=TARGETS[target].title,
        flash_bytes=emulation.flash_bytes,
        ram_bytes=emulation.ram_bytes,
        stack_bytes=emulation.stack_bytes,
        instructions_per_second=round(emulation.instructions_per_second),
    )


def _int16(audio: FloatArray) -> npt.NDArray[np.int16]:
    return np.clip(np.round(audio * 32768), -32768, 32767).astype(np.int16)


def _link(target: str, board: Board, sources: Path, clip_samples: int, folder: Path) -> None:
    script = (FILES / "mps2.ld").read_text(encoding="ascii")
    script = script.replace("@FLASH@", hex(board.flash)).replace("@RAM@", hex(board.ram))
    (folder / "memory.ld").write_text(script, encoding="ascii")
    defined = (f"-DCLIP_SAMPLES={clip_samples}u", f"-DINSTRUCTIONS_PER_TICK={1000 // board.megahertz}u")
    program = (str(FILES / "emulated.c"), *defined, "-T", str(folder / "memory.ld"))
    link(TARGETS[target], sources, folder / "image.elf", *program)


def _floats(rows: list[list[int]]) -> npt.NDArray[np.float32]:
    return np.array(rows, np.uint32).view(np.float32)
