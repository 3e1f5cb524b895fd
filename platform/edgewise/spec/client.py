"""How the `nengo-edge` client runs an artifact: its README and the Deploy page take the words from here."""

from __future__ import annotations

import json
from collections.abc import Sequence

INSTALLATION = """\
pip install nengo-edge==24.3.6 tensorflow==2.18.1 tf-keras==2.18.0 tensorflow-text==2.18.1
export TF_USE_LEGACY_KERAS=1"""
"""The client needs Keras 2: it loads the SavedModel with what newer TensorFlow has as tf-keras alone."""


def program(runner: str) -> str:
    """Write the program that says what a recording holds; `runner` is a class of the client."""
    return f"""\
import soundfile
from nengo_edge import {runner}
labels = open("labels.txt", encoding="utf-8").read().splitlines()
audio, rate = soundfile.read("recording.wav", dtype="float32")
print(labels[{runner}(".").run(audio[None]).argmax()])"""


def board_program(runner: str, drive: str, samples: int, labels: Sequence[str]) -> str:
    """Write the program that lets a board hear a recording.

    Args:
        runner: a class of the client.
        drive: where the board shows itself as a drive.
        samples: of a clip; the client takes no others than fill whole frames.
        labels: of the network: the archive for a board has no file of them.
    """
    return f"""\
import soundfile
from pathlib import Path
from nengo_edge import {runner}
labels = {json.dumps(list(labels), ensure_ascii=False)}
audio, rate = soundfile.read("recording.wav", dtype="float32")
with {runner}(".", "/dev/ttyACM0", Path("/media/you/{drive}")) as board:
    print(labels[board.run(audio[None, :{samples}]).argmax()])"""


def coral_program(labels: Sequence[str]) -> str:
    """Write the program that lets a Coral Dev Board hear a recording; the archive for it has no file of labels."""
    return f"""\
import soundfile
from nengo_edge import CoralRunner
labels = {json.dumps(list(labels), ensure_ascii=False)}
audio, rate = soundfile.read("recording.wav", dtype="float32")
print(labels[CoralRunner(".", "mendel", "coral.local").run(audio[None]).argmax()])"""
