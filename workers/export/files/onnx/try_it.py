"""Check that ONNX Runtime computes here what was trained: `python try_it.py`.

Needs numpy and onnxruntime. Ends with status 1 if a score of the ten clips in golden.npz differs by more than 0.001.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

BOUND = 1e-3
HERE = Path(__file__).resolve().parent


def session(name: str) -> Any:
    """Load a file."""
    return onnxruntime.InferenceSession(HERE / name, providers=["CPUExecutionProvider"])


def whole_clips(audio: Any) -> Any:
    """Run whole clips at once."""
    return session("clip.onnx").run(["logits"], {"audio": audio})[0]


def stream(audio: Any) -> Any:
    """Run one frame after the other; all states are zero at the start, and go in again as they came out."""
    features = session("features.onnx").run(["features"], {"audio": audio})[0]
    step = session("step.onnx")
    states = {
        value.name: np.zeros((len(audio), value.shape[1]), np.float32)
        for value in step.get_inputs()
        if value.name != "features"
    }
    for frame in range(features.shape[1]):
        logits, *updated = step.run(None, {"features": features[:, frame], **states})
        states = dict(zip(states, updated, strict=True))
    return logits


def main() -> int:
    """Compare, and print one line for each way and each clip."""
    golden = dict(np.load(HERE / "golden.npz"))
    labels = (HERE / "labels.txt").read_text(encoding="utf-8").splitlines()
    passed = True
    ways: dict[str, Callable[[Any], Any]] = {"whole clips": whole_clips, "frame by frame": stream}
    for title, run in ways.items():
        difference = float(np.abs(run(golden["audio"]) - golden["logits"]).max())
        passed &= difference <= BOUND
        print(f"{'ok' if difference <= BOUND else 'DIFFERS':8}{title:16}largest difference {difference:.1e}")
    for index, (scores, truth) in enumerate(zip(golden["logits"], golden["truth"], strict=True)):
        print(f"clip {index}: the trained network hears {labels[scores.argmax()]}, spoken was {labels[truth]}")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
