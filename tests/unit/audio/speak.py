"""Speak, and print what it sounds like: `python -m tests.unit.audio.speak SEED`."""

from __future__ import annotations

import hashlib
import sys

from edgewise.spec.synthesis import SynthesisParameters
from workers.engine.speech import EspeakSynthesizer, speak_words

if __name__ == "__main__":
    asked = SynthesisParameters(keywords=["go"], clips_per_word=10, seed=int(sys.argv[1]))
    sounds = b"".join(clip.samples.tobytes() for clip in speak_words(asked, EspeakSynthesizer()))
    print(hashlib.sha256(sounds).hexdigest())
