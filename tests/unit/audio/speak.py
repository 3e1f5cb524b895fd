"""Speak, and print what it sounds like: `python -m tests.unit.audio.speak SEED`."""

from __future__ import annotations

import hashlib
import sys

from workers.engine.speech import speak_words

if __name__ == "__main__":
    sounds = b"".join(clip.samples.tobytes() for clip in speak_words(["go"], 10, int(sys.argv[1])))
    print(hashlib.sha256(sounds).hexdigest())
