"""The C library on an emulated Cortex-M4F: the same scores as here, and what they cost there.

`qemu-system-arm` (a package of Debian) emulates ARM's MPS2 board. The image is built by the extra `targets`.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from workers.export.c.library import sizes
from workers.export.c.targets import TARGETS, has_compiler, link

FILES = Path(__file__).parent / "files" / "emulator"
QEMU = "qemu-system-arm"
OUTPUT = "output.txt"
BOARD = (
    "-M", "mps2-an386", "-icount", "shift=0", "-display", "none", "-serial", "none", "-monitor", "none",
    "-chardev", f"file,id=output,path={OUTPUT}", "-semihosting-config", "enable=on,target=native,chardev=output",
)  # fmt: skip
TARGET = TARGETS["cortex-m4f"]


@dataclass(frozen=True)
class Emulation:
    """What a library gave and took on the board."""

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


def emulate(sources: Path, audio: npt.NDArray[np.int16]) -> Emulation:
    """Run clips on the board.

    Args:
        sources: of the library.
        audio: (clips, samples).

    Raises:
        EngineError: the image cannot be built.
        RuntimeError: the image does not end as it should.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        image = folder / "image.elf"
        program = (FILES / "emulated.c", f"-DCLIP_SAMPLES={audio.shape[1]}u", "-T", FILES / "mps2_an386.ld")
        link(TARGET, sources, image, *map(str, program))
        (folder / "clips.raw").write_bytes(audio.astype("<i2").tobytes())
        done = subprocess.run(
            [QEMU, *BOARD, "-kernel", image.name], cwd=folder, capture_output=True, text=True, check=False, timeout=500
        )
        lines = (folder / OUTPUT).read_text(encoding="ascii").splitlines()
    if done.returncode or len(lines) != len(audio) + 1:
        raise RuntimeError(f"The emulated board stopped with {done.returncode}: {done.stderr[-500:]}")
    *rows, costs = [[int(word, 16) for word in line.split()] for line in lines]
    high, low, flash, ram, stack = costs
    seconds = audio.size / sizes(sources)["SAMPLE_RATE"]
    return Emulation(
        logits=np.array(rows, np.uint32).view(np.float32),
        instructions_per_second=((high << 32) + low) / seconds,
        flash_bytes=flash,
        ram_bytes=ram + stack,
        stack_bytes=stack,
    )
