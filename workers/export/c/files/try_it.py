"""Check that what is here computes what was trained: `python try_it.py`.

Needs numpy and a C compiler (cc, gcc or clang). Compiles the library and runs the ten clips in golden.npz through it
and through the runner in Python. Ends with status 1 if a score differs by more than 0.001 from the trained network's,
or, where the library computes in integers, if it takes more than one clip for something else than the network did.
"""

import ctypes
import runpy
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

BOUND = 1e-3
STRAY_CLIPS = 1
"""Clips that integers may take for something else: scores that lie close together may change places."""
HERE = Path(__file__).resolve().parent


def compiled(folder: Path) -> Any:
    """Compile the library."""
    compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
    if compiler is None:
        sys.exit("There is no C compiler: install one, such as gcc.")
    sources = sorted(map(str, (HERE / "src").glob("*.c")))
    flags = ["-std=c99", "-O2", "-ffp-contract=off", "-shared", "-fPIC"]
    subprocess.run([compiler, *flags, "-o", str(folder / "edgewise.so"), *sources, "-lm"], check=True)
    return ctypes.CDLL(str(folder / "edgewise.so"))


def by_library(audio: Any, labels: int) -> Any:
    """Run whole clips through the C library."""
    with tempfile.TemporaryDirectory() as folder:
        library = compiled(Path(folder))
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


def by_numpy(audio: Any, labels: int) -> Any:
    """Run whole clips through the runner in Python."""
    return runpy.run_path(str(HERE / "edgewise_runner.py"))["Runner"](HERE).run(audio)


def main() -> int:
    """Compare, and print one line for each way and each clip."""
    golden = dict(np.load(HERE / "golden.npz"))
    labels = (HERE / "labels.txt").read_text(encoding="utf-8").splitlines()
    is_int8 = "EDGEWISE_INT8" in (HERE / "src" / "edgewise_model.h").read_text(encoding="ascii")
    passed = True
    ways: dict[str, tuple[Callable[[Any, int], Any], bool]] = {
        "C library": (by_library, not is_int8),
        "Python runner": (by_numpy, True),
    }
    for title, (run, is_exact) in ways.items():
        logits = run(golden["audio"], len(labels))
        difference = float(np.abs(logits - golden["logits"]).max())
        strays = int((logits.argmax(axis=1) != golden["logits"].argmax(axis=1)).sum())
        good = difference <= BOUND if is_exact else strays <= STRAY_CLIPS
        passed &= good
        print(f"{'ok' if good else 'DIFFERS':8}{title:16}largest difference {difference:.1e}")
    for index, (scores, truth) in enumerate(zip(golden["logits"], golden["truth"], strict=True)):
        print(f"clip {index}: {labels[scores.argmax()]} (spoken: {labels[truth]})")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
