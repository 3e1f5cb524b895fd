"""Images for boards: the C library, the program that serves the client, and a layer for each board, linked by Zig.

`sources/session.c` is the program, `board.h` all that it needs of a board. Only the emulated board's layer was
tested: nobody has run the others on hardware.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from workers.engine.errors import EngineError
from workers.export.c.emulator import QEMU
from workers.export.c.targets import TARGETS, Target, copy_object, link

SOURCES = Path(__file__).parent / "sources"
PROGRAM = "session.c"
OVERFLOW = "will not fit in region"
"""What the linker says of a section that is larger than a board's memory."""


@dataclass(frozen=True)
class Board:
    """A board, and what the client wants for it."""

    title: str
    layer: str
    """Name of its C file, and of the linker script with its memories, without suffix."""
    target: Target
    file: str
    """Name of the image, which the client copies to the board."""
    layout: str
    """Of the image, as `zig objcopy` calls it."""


DISCO = Board("STM32F746G Discovery", "stm32f746", TARGETS["cortex-m7"], "nengoedge_project.bin", "binary")
NORDIC = Board("nRF52840 DK", "nrf52840", TARGETS["cortex-m4f"], "nengoedge_project.hex", "hex")
EMULATED = Board("MPS2 AN386", "mps2_an386", TARGETS["cortex-m4f"], "image.bin", "binary")
"""What `qemu-system-arm` calls `mps2-an386`."""


def emulator(image: Path) -> tuple[str, ...]:
    """Return the command that starts `EMULATED` with an image; its serial port is the command's input and output."""
    return (
        QEMU, "-M", "mps2-an386", "-display", "none", "-monitor", "none", "-chardev", "stdio,id=port,signal=off",
        "-serial", "chardev:port", "-device", f"loader,file={image},addr=0",
    )  # fmt: skip


def write_image(board: Board, sources: Path, clip_slices: int, folder: Path) -> None:
    """Write `board.file` into `folder`.

    Args:
        board: what it is for.
        sources: of the C library.
        clip_slices: strides of audio in a clip, beside what the first window needs.
        folder: of the image.

    Raises:
        EngineError: the compiler is not installed or fails, or the network is too large for the board.
    """
    layer = SOURCES / board.layer
    with tempfile.TemporaryDirectory() as name:
        script, linked = Path(name) / "board.ld", Path(name) / "image.elf"
        script.write_bytes(layer.with_suffix(".ld").read_bytes() + (SOURCES / "sections.ld").read_bytes())
        files = (SOURCES / PROGRAM, SOURCES / "cortex_m.c", layer.with_suffix(".c"))
        options = (f"-I{SOURCES}", f"-DCLIP_SLICES={clip_slices}u", "-T", str(script))
        try:
            link(board.target, sources, linked, *options, *map(str, files))
        except EngineError as error:
            if OVERFLOW not in str(error):
                raise
            raise EngineError(
                "does-not-fit",
                f"The network is too large for the memory of the {board.title}.",
                "Choose int8, or train a smaller network.",
            ) from error
        copy_object(linked, folder / board.file, board.layout)
