"""What the library is compiled for, by Zig's C compiler, which needs nothing of a target but its name.

It comes with the extra `targets` (`ziglang`, 411 MB), which Edgewise's own environment has.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from workers.engine.errors import EngineError

FLAGS = ("-std=c99", "-ffp-contract=off", "-fno-math-errno", "-g0")
BARE = ("-O2", "-ffreestanding", "-fno-unwind-tables", "-fno-asynchronous-unwind-tables", "-ffunction-sections",
        "-fdata-sections")  # fmt: skip
SHARED = ("-O3", "-shared", "-fPIC", "-s")
WASM_SOURCE = Path(__file__).parent / "files" / "wasm" / "edgewise_wasm.c"
WASM_EXPORTS = (
    "block",
    "block_samples",
    "feed_block",
    "begin",
    "threshold",
    "frame_count",
    "scores",
    "shares",
    "heard",
)


@dataclass(frozen=True)
class Target:
    """A processor and its operating system."""

    title: str
    file: str
    """Name of the compiled library."""
    flags: tuple[str, ...]
    linking: str = ""
    """Options of GCC for a program that links an archive: those of the processor, and how it hands over floats."""

    @property
    def is_archive(self) -> bool:
        """Whether it is linked into a program, and not loaded by one."""
        return self.file.endswith(".a")


def _cortex(title: str, processor: str, fpu: str = "") -> Target:
    """Name a processor with its unit for floating point, as Zig does (`processor`) and as GCC does (`fpu`)."""
    triple = f"thumb-freestanding-eabi{'hf' if fpu else ''}"
    core = processor.partition("+")[0].replace("_", "-")
    linking = f"-mcpu={core} -mthumb " + (f"-mfpu={fpu} -mfloat-abi=hard" if fpu else "-mfloat-abi=soft")
    return Target(title, "libedgewise.a", ("-target", triple, f"-mcpu={processor}"), linking)


def _system(title: str, file: str, triple: str, *flags: str) -> Target:
    return Target(title, file, ("-target", triple, *flags))


ZIG = (sys.executable, "-m", "ziglang")
TARGETS = {
    "cortex-m0plus": _cortex("Cortex-M0+", "cortex_m0plus"),
    # Without naming its unit for floating point the compiler calls functions that are not there.
    "cortex-m4f": _cortex("Cortex-M4F", "cortex_m4+vfp4d16sp", "fpv4-sp-d16"),
    "cortex-m7": _cortex("Cortex-M7", "cortex_m7+fp_armv8d16sp", "fpv5-sp-d16"),
    "cortex-m33": _cortex("Cortex-M33", "cortex_m33+fp_armv8d16sp", "fpv5-sp-d16"),
    "linux-x86-64": _system("Linux x86-64", "libedgewise.so", "x86_64-linux-gnu.2.28"),
    "linux-aarch64": _system("Linux aarch64", "libedgewise.so", "aarch64-linux-gnu.2.28"),
    "linux-armv7": _system("Linux armv7", "libedgewise.so", "arm-linux-gnueabihf.2.28", "-mcpu=cortex_a7"),
    "macos": _system(
        "macOS (Apple silicon)", "libedgewise.dylib", "aarch64-macos", "-Wl,-install_name,@rpath/libedgewise.dylib"
    ),
    "windows": _system("Windows x86-64", "edgewise.dll", "x86_64-windows-gnu"),
    "wasm": Target("WebAssembly", "edgewise.wasm", ("-target", "wasm32-freestanding")),
}


def has_compiler() -> bool:
    """Say whether the extra `targets` is installed."""
    return importlib.util.find_spec("ziglang") is not None


def compile_for(target: Target, sources: Path, folder: Path) -> None:
    """Compile the C files in `sources` to `target.file` in `folder`.

    Raises:
        EngineError: the compiler is not installed, or fails.
    """
    files = sorted(path.name for path in sources.glob("*.c"))
    output = (folder / target.file).resolve()
    if target.is_archive:
        objects = []
        for name in files:
            objects.append(str(folder.resolve() / f"{Path(name).stem}.o"))
            _compile(sources, *target.flags, *FLAGS, *BARE, "-c", name, "-o", objects[-1])
        # D: no times and no owners, so that the same objects give the same bytes.
        _zig(sources, "ar", "rcsD", str(output), *objects)
        for path in objects:
            Path(path).unlink()
    elif target.file.endswith(".wasm"):
        exports = [f"-Wl,--export=edgewise_{name}" for name in WASM_EXPORTS]
        options = ("-O3", "-ffreestanding", "-nostdlib", "-s", "-Wl,--no-entry", *exports)
        _compile(sources, *target.flags, *FLAGS, *options, *files, str(WASM_SOURCE), "-o", str(output))
    else:
        _compile(sources, *target.flags, *FLAGS, *SHARED, *files, "-lm", "-o", str(output))


def link(target: Target, sources: Path, image: Path, *program: str) -> None:
    """Link the library and a program to an image for a processor without operating system.

    Args:
        target: the processor.
        sources: of the library.
        image: to be written.
        program: its C files, with options such as the linker script.

    Raises:
        EngineError: the compiler is not installed, or fails.
    """
    files = sorted(path.name for path in sources.glob("*.c"))
    options = (*target.flags, *FLAGS, *BARE, "-Wl,--entry=reset", "-Wl,--gc-sections")
    _compile(sources, *options, *files, *program, "-o", str(image.resolve()))


def copy_object(image: Path, target: Path, layout: str) -> None:
    """Copy what an image puts into flash to the file `target`: bytes alone (`binary`) or Intel's text (`hex`).

    Raises:
        EngineError: the compiler is not installed, or fails.
    """
    _zig(image.parent, "objcopy", "-O", layout, str(image.resolve()), str(target.resolve()))


def _compile(sources: Path, *arguments: str) -> None:
    # Named in full: Zig keeps objects by what it was told, and would take those of another folder's headers for ours.
    _zig(sources, "cc", f"-I{sources.resolve()}", *arguments)


def _zig(folder: Path, *arguments: str) -> None:
    _require_compiler()
    command = [*ZIG, *arguments]
    # Zig keeps for ever what it makes. Of a target's libraries that saves a minute; of one network it fills the disk.
    with tempfile.TemporaryDirectory() as cache:
        here = {**os.environ, "ZIG_LOCAL_CACHE_DIR": cache}
        done = subprocess.run(command, cwd=folder, env=here, capture_output=True, text=True, check=False)
    if done.returncode:
        raise EngineError(
            "compiler-failed",
            f"Zig could not compile the library: {done.stderr.strip()[-500:]}",
            "This is a fault of Edgewise or of the compiler: report it with the log.",
        )


def _require_compiler() -> None:
    if not has_compiler():
        raise EngineError(
            "no-cross-compiler",
            "The compiler for other processors is not installed where the worker runs.",
            "Install the extra “targets” there, as docs/configuration.md says. Sources alone do not need it: every C99 "
            "compiler takes them.",
        )
