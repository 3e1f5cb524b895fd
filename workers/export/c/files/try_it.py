"""Check that what is here computes what was trained: `python try_it.py`.

Needs numpy, and a C compiler (cc, gcc or clang) where `lib` has no library for this machine. Runs the ten clips in
golden.npz through the library in `lib`, through that which it compiles, and through the runner in Python. Ends with
status 1 if a score differs by more than 0.001 from the trained network's, or, where the library computes in integers,
if it takes more than one clip for something else than the network did.
"""

import ctypes
import platform
import runpy
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

BOUND = 1e-3
STRAY_CLIPS = 1
"""Clips that integers may take for something else: scores that lie close together may change places."""
HERE = Path(__file__).resolve().parent


BUILT = {
    ("Linux", "x86_64"): "linux-x86-64/libedgewise.so",
    ("Linux", "aarch64"): "linux-aarch64/libedgewise.so",
    ("Linux", "armv7l"): "linux-armv7/libedgewise.so",
    ("Darwin", "arm64"): "macos/libedgewise.dylib",
    ("Windows", "AMD64"): "windows/edgewise.dll",
}
COMPILER = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)


def built() -> Path | None:
    """Return the library in `lib` that this machine can load."""
    path = HERE / "lib" / BUILT.get((platform.system(), platform.machine()), "none")
    return path if path.is_file() else None


def compiled(folder: Path) -> Path:
    """Compile the library."""
    assert COMPILER is not None
    sources = sorted(map(str, (HERE / "src").glob("*.c")))
    flags = ["-std=c99", "-O2", "-ffp-contract=off", "-shared", "-fPIC"]
    subprocess.run([COMPILER, *flags, "-o", str(folder / "edgewise.so"), *sources, "-lm"], check=True)
    return folder / "edgewise.so"


def by_library(path: Path, audio: Any, labels: int) -> Any:
    """Run whole clips through a C library."""
    library = ctypes.CDLL(str(path))
    library.edgewise_state_bytes.restype = ctypes.c_size_t
    library.edgewise_logits.restype = ctypes.POINTER(ctypes.c_float)
    state = ctypes.create_string_buffer(library.edgewise_state_bytes())
    logits = []
    for clip in audio:
        samples = np.ascontiguousarray(clip, np.float32)
        library.edgewise_reset(state)
        library.edgewise_feed_float(state, samples.ctypes.data_as(ctypes.c_void_p), ctypes.c_size_t(len(samples)))
        logits.append(library.edgewise_logits(state)[:labels])
    return np.array(logits)


def by_compiled(audio: Any, labels: int) -> Any:
    """Run whole clips through the library that is compiled here."""
    with tempfile.TemporaryDirectory() as folder:
        return by_library(compiled(Path(folder)), audio, labels)


def by_numpy(audio: Any, labels: int) -> Any:
    """Run whole clips through the runner in Python."""
    return runpy.run_path(str(HERE / "edgewise_runner.py"))["Runner"](HERE).run(audio)


def main() -> int:
    """Compare, and print one line for each way and each clip."""
    golden = dict(np.load(HERE / "golden.npz"))
    labels = (HERE / "labels.txt").read_text(encoding="utf-8").splitlines()
    is_int8 = "EDGEWISE_INT8" in (HERE / "src" / "edgewise_model.h").read_text(encoding="ascii")
    passed = True
    ways: dict[str, tuple[Callable[[Any, int], Any], bool]] = {"Python runner": (by_numpy, True)}
    if COMPILER:
        ways["C, compiled here"] = (by_compiled, not is_int8)
    if found := built():
        ways["C, in lib"] = (partial(by_library, found), not is_int8)
    if len(ways) == 1:
        sys.exit("There is no C compiler: install one, such as gcc.")
    for title, (run, is_exact) in ways.items():
        logits = run(golden["audio"], len(labels))
        difference = float(np.abs(logits - golden["logits"]).max())
        strays = np.flatnonzero(logits.argmax(axis=1) != golden["logits"].argmax(axis=1))
        good = difference <= BOUND if is_exact else len(strays) <= STRAY_CLIPS
        passed &= good
        print(f"{'ok' if good else 'DIFFERS':8}{title:18}largest difference {difference:.1e}")
        for index in strays:
            print(f"        clip {index}: hears {labels[logits[index].argmax()]}")
    for number, (scores, truth) in enumerate(zip(golden["logits"], golden["truth"], strict=True)):
        print(f"clip {number}: the trained network hears {labels[scores.argmax()]}, spoken was {labels[truth]}")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
