"""Check that the real `nengo-edge` client computes here what was trained: `python try_it.py`.

Needs nengo-edge, tensorflow, tf-keras and tensorflow-text (see README.md). Ends with status 1 if a score of the ten
clips in golden.npz differs by more than 0.001, or, where the network computes in integers, if more than one clip gets
another label than the trained network gives it.
"""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ["TF_USE_LEGACY_KERAS"] = "1"  # the client needs Keras 2
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import json

import numpy as np
import packaging.version  # noqa: F401 - the client uses it and does not import it
from nengo_edge import SavedModelRunner, TFLiteRunner
from nengo_edge.device_modules.np_mfcc import LogMelFeatureExtractor

BOUND = 1e-3
STRAY_CLIPS = 1
"""Clips that integers may take for something else: scores that lie close together may change places."""
HERE = Path(__file__).resolve().parent

Check = Callable[[Any], Any]


def preprocessing_parameters() -> Any:
    """Read the eight parameters of the features."""
    return json.loads((HERE / "parameters.json").read_text(encoding="utf-8"))["preprocessing"]


def features(golden: Any) -> Any:
    """Compute the features with the client's reference implementation."""
    return LogMelFeatureExtractor(**preprocessing_parameters())(golden["audio"])


def saved_model(golden: Any) -> Any:
    """Run whole clips."""
    return SavedModelRunner(HERE).run(golden["audio"])


def tflite_whole(golden: Any) -> Any:
    """Run whole clips at once."""
    runner = TFLiteRunner(HERE)
    runner.reset_state(len(golden["audio"]))
    return runner.run(golden["audio"])


def tflite_stream(golden: Any) -> Any:
    """Run the clips in chunks of about one window, as a microphone gives them."""
    clips, samples = golden["audio"].shape
    preprocessing = preprocessing_parameters()
    window = round(preprocessing["sample_rate"] * preprocessing["window_size_ms"] / 1000)
    runner = TFLiteRunner(HERE)
    runner.reset_state(clips)
    return [runner.run(chunk) for chunk in np.array_split(golden["audio"], samples // window, axis=1)][-1]


def computes_in_integers() -> bool:
    """Say whether the network of TFLite is quantised."""
    return bool(TFLiteRunner(HERE).model_interpreter.get_input_details()[0]["dtype"] != np.float32)


def checks() -> Iterator[tuple[str, str, Check, bool]]:
    """List what this artifact holds: title, expected array, check, whether it must give the very numbers."""
    yield "features", "features", features, True
    if (HERE / "saved_model.pb").exists():
        yield "SavedModel", "logits", saved_model, True
    if (HERE / "model.tflite").exists():
        is_exact = not computes_in_integers()
        yield "TFLite, whole clips", "logits", tflite_whole, is_exact
        yield "TFLite, in chunks", "logits", tflite_stream, is_exact


def stray_clips(found: Any, expected: Any) -> Any:
    """Return the clips that get another label than the trained network gives them."""
    return np.flatnonzero(np.argmax(found, axis=-1) != expected.argmax(axis=-1))


def main() -> int:
    """Compare, print one line for each check, and what the clips are taken for."""
    golden = dict(np.load(HERE / "golden.npz"))
    labels = (HERE / "labels.txt").read_text(encoding="utf-8").splitlines()
    passed = True
    for title, expected, check, is_exact in checks():
        found = check(golden)
        difference = float(np.abs(found - golden[expected]).max())
        strays = [] if expected == "features" else stray_clips(found, golden["logits"])
        good = difference <= BOUND if is_exact else len(strays) <= STRAY_CLIPS
        passed &= good
        print(f"{'ok' if good else 'DIFFERS':8}{title:22}largest difference {difference:.1e}")
        for index in strays:
            print(f"        clip {index}: hears {labels[found[index].argmax()]}")
    for index, (scores, truth) in enumerate(zip(golden["logits"], golden["truth"], strict=True)):
        print(f"clip {index}: the trained network hears {labels[scores.argmax()]}, spoken was {labels[truth]}")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
