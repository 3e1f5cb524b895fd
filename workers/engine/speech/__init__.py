"""Synthetic speech: words spoken by a program, so that everything can be tried without recordings.

It shows how the platform works; only real recordings can judge a model.
"""

from workers.engine.speech.espeak import EspeakSynthesizer
from workers.engine.speech.synthesis import (
    OTHER_WORDS,
    SpokenClip,
    Synthesizer,
    Voice,
    number_of_clips,
    speak_words,
)

__all__ = [
    "OTHER_WORDS",
    "EspeakSynthesizer",
    "SpokenClip",
    "Synthesizer",
    "Voice",
    "number_of_clips",
    "speak_words",
]
