"""Run an artifact with the real runners: a script for the client's environment, never imported by the tests.

    python probe.py FOLDER REQUESTS.npz ANSWERS.npz

Each array of the requests is audio (clips, samples), under the name of the runner and how to feed it: "saved_model",
"tflite", or "tflite:640,1000" for chunks that end there.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import packaging.version  # noqa: F401 - the client uses it and does not import it
from nengo_edge import SavedModelRunner, TFLiteRunner


def main(folder: Path, requests: str, answers: str) -> None:
    """Answer each request."""
    runners: dict[str, Any] = {}
    found = {}
    for name, audio in np.load(requests).items():
        kind, _, feeding = name.partition("/")[0].partition(":")
        if kind not in runners:
            runners[kind] = (SavedModelRunner if kind == "saved_model" else TFLiteRunner)(folder)
        found[name] = run(runners[kind], kind, feeding, audio)
    np.savez(answers, **found)


def run(runner: Any, kind: str, feeding: str, audio: Any) -> Any:
    """Feed one array of audio."""
    if kind == "saved_model":
        return runner.run(audio)
    runner.reset_state(len(audio))
    ends = [int(end) for end in feeding.split(",")] if feeding else []
    return [runner.run(chunk) for chunk in np.split(audio, ends, axis=1)][-1]


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
