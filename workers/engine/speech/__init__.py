"""Synthetic speech: words spoken by a program, so that everything can be tried without recordings.

It shows how the platform works; only real recordings can judge a model.
"""

from workers.engine.speech.espeak import EspeakSynthesizer
from workers.engine.speech.near_misses import near_misses
from workers.engine.speech.synthesis import (
    OTHER_WORDS,
    SpokenClip,
    Synthesizer,
    Voice,
    number_of_clips,
    speak_example,
    speak_words,
    with_near_misses,
)

__all__ = [
    "OTHER_WORDS",
    "EspeakSynthesizer",
    "SpokenClip",
    "Synthesizer",
    "Voice",
    "near_misses",
    "number_of_clips",
    "speak_example",
    "speak_words",
    "with_near_misses",
]
