"""The C library on this machine: compiled by its own compiler, and called by ctypes."""

from __future__ import annotations

import ctypes
import platform
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgewise.spec.library import C_COMPILERS
from workers.engine.errors import EngineError
from workers.export.c.library import sizes
from workers.export.c.targets import ZIG, has_compiler

FloatArray = npt.NDArray[np.float32]

FLAGS = ("-std=c99", "-O3", "-ffp-contract=off", "-fno-math-errno")
"""Contraction would make the last bits depend on the processor; errno would keep sqrtf from being an instruction."""


def host_compiler() -> list[str]:
    """Return the command of a C compiler for this machine: its own, else the one that comes with Edgewise.

    Raises:
        EngineError: there is none.
    """
    found = next((path for name in C_COMPILERS if (path := shutil.which(name))), None)
    if found is not None:
        return [found]
    if has_compiler():
        return [*ZIG, "cc"]
    raise EngineError(
        "no-compiler",
        "No C compiler is installed where the worker runs, so the library could be written but not checked.",
        "Install one there, such as gcc, and build the artifact again.",
    )


def compile_shared(sources: Path, target: Path, *flags: str) -> None:
    """Compile the C files in `sources` to a shared library.

    Raises:
        EngineError: there is no compiler, or it fails.
    """
    _compile(sources, target, "-shared", "-fPIC", *flags)


def compile_program(sources: Path, target: Path, *arguments: str) -> None:
    """Compile the C files in `sources`, with those among the arguments, to a program.

    Raises:
        EngineError: there is no compiler, or it fails.
    """
    _compile(sources, target, f"-I{sources}", *arguments)


def _compile(sources: Path, target: Path, *arguments: str) -> None:
    files = sorted(str(path) for path in sources.glob("*.c"))
    command = [*host_compiler(), *FLAGS, *arguments, "-o", str(target), *files, "-lm"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise EngineError(
            "compiler-failed",
            f"The C compiler could not compile the library: {done.stderr.strip()[-500:]}",
            "This is a fault of Edgewise or of the compiler: report it with the log.",
        )


class Spotter:
    """A stream through a shared library that `compile_shared` made."""

    def __init__(self, library: Path) -> None:
        functions = ctypes.CDLL(str(library))
        functions.edgewise_state_bytes.restype = ctypes.c_size_t
        functions.edgewise_frames.restype = ctypes.c_uint32
        for name in ("features", "logits", "probabilities"):
            getattr(functions, f"edgewise_{name}").restype = ctypes.POINTER(ctypes.c_float)
        self._functions = functions
        self._state = ctypes.create_string_buffer(functions.edgewise_state_bytes())
        self.reset()

    def reset(self) -> None:
        """Begin a new stream."""
        self._functions.edgewise_reset(self._state)

    def feed(self, samples: npt.NDArray[np.float32] | npt.NDArray[np.int16]) -> int | None:
        """Take samples (samples,); return the label that was detected in them."""
        feed = {"float32": self._functions.edgewise_feed_float, "int16": self._functions.edgewise_feed_int16}
        block = np.ascontiguousarray(samples)
        label: int = feed[block.dtype.name](
            self._state, block.ctypes.data_as(ctypes.c_void_p), ctypes.c_size_t(len(block))
        )
        return None if label < 0 else label

    def set_threshold(self, threshold: float) -> None:
        """Set the probability from which on a keyword is detected."""
        self._functions.edgewise_set_threshold(self._state, ctypes.c_float(threshold))

    @property
    def frames(self) -> int:
        """Frames since the stream began."""
        return int(self._functions.edgewise_frames(self._state))

    def features(self, count: int) -> FloatArray:
        """Return the features of the newest frame, (count,)."""
        return self._array("features", count)

    def logits(self, count: int) -> FloatArray:
        """Return the scores of the newest frame, (count,)."""
        return self._array("logits", count)

    def probabilities(self, count: int) -> FloatArray:
        """Return the scores of the newest frame as probabilities, (count,)."""
        return self._array("probabilities", count)

    def _array(self, name: str, count: int) -> FloatArray:
        pointer = getattr(self._functions, f"edgewise_{name}")(self._state)
        return np.ctypeslib.as_array(pointer, (count,)).copy()


# --- a compiled library as a form -------------------------------------------------------------------------------------


def why_not(target: str) -> str | None:
    """Say why this machine cannot load a library that was compiled for a target; None where it can."""
    here = f"{platform.system()}-{platform.machine()}".lower().replace("_", "-")
    return None if target == here else f"this machine is {here}"


def load(library: Path, sources: Path) -> Callable[[FloatArray], FloatArray]:
    """Load a shared library: audio of whole clips (clips, samples) → logits (clips, labels)."""
    spotter, labels = Spotter(library), sizes(sources)["LABELS"]

    def logits(audio: FloatArray) -> FloatArray:
        found = []
        for clip in audio:
            spotter.reset()
            spotter.feed(clip)
            found.append(spotter.logits(labels))
        return np.stack(found)

    return logits


def load_features(library: Path, sources: Path) -> Callable[[FloatArray], FloatArray]:
    """Load a shared library: audio of whole clips (clips, samples) → features (clips, frames, features)."""
    spotter, numbers = Spotter(library), sizes(sources)

    def frames(clip: FloatArray) -> FloatArray:
        spotter.reset()
        found = []
        for begin in range(0, len(clip), numbers["STRIDE_SAMPLES"]):
            before = spotter.frames
            spotter.feed(clip[begin : begin + numbers["STRIDE_SAMPLES"]])
            if spotter.frames > before:
                found.append(spotter.features(numbers["FEATURES"]))
        return np.stack(found)

    return lambda audio: np.stack([frames(clip) for clip in audio])
