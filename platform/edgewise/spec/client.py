"""How the `nengo-edge` client runs an artifact: its README and the Deploy page take the words from here."""

from __future__ import annotations

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
