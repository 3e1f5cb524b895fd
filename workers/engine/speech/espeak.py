"""espeak-ng, called as a library. The wheel `espeakng-loader` carries the library and its data.

espeak-ng keeps its state in the process and calls back while it speaks: one synthesizer at a time, in one thread. The
same texts in the same order sound the same in every process; in one process a second round differs by a hair.
"""

from __future__ import annotations

import ctypes
from pathlib import Path

import espeakng_loader
import numpy as np

from workers.engine.audio import Int16Array
from workers.engine.errors import EngineError
from workers.engine.speech.synthesis import Voice

SYNCHRONOUS = 2
UTF8 = 1
RATE, PITCH = 1, 3
POSITION_CHARACTER = 1
BUFFER_MILLISECONDS = 500

IPA = 2
SEPARATED = ord("_") << 8
"""Asks for a `_` between phonemes."""
STRESS = str.maketrans("", "", "ˈˌ")
DICTION = "en-us"
"""The accent in which words are compared."""

ACCENTS = {
    "american": "en-us", "british": "en", "scottish": "en-gb-scotland", "received": "en-gb-x-rp",
    "new-york": "en-us-nyc", "caribbean": "en-029", "lancastrian": "en-gb-x-gbclan", "midlands": "en-gb-x-gbcwmd",
}  # fmt: skip
VARIANTS = {
    name: group
    for group, names in (
        ("women", "Alicia Andrea Annie anika aunty belinda f1 f2 f3 f4 f5 grandma linda steph"),
        (
            "men",
            "Alex Andy Denis Diogo Gene Henrique Hugo Jacky Lee Marco Mario Michael Mike Nguyen Reed Storm adam "
            "antonio benjamin boris caleb david ed edward grandpa gustave ian iven john klatt m1 m2 m3 m4 m5 m6 m7 m8 "
            "marcelo max michel miguel norbert pablo paul pedro quincy rob robert sandro shelby travis victor zac",
        ),
    )
    for name in names.split()
}
_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


class EspeakSynthesizer:
    """Speaks English with eight accents and the variants of espeak-ng that sound like people."""

    def __init__(self) -> None:
        self._chunks: list[Int16Array] = []
        try:
            self._library = ctypes.CDLL(espeakng_loader.get_library_path())
            # espeak-ng wants the folder above its data; the loader raises RuntimeError where there is none.
            above = str(Path(espeakng_loader.get_data_path()).parent).encode()
        except (OSError, RuntimeError) as error:
            raise EngineError(
                "no-speech", f"espeak-ng does not run on this machine: {error}.", "Upload or import recordings instead."
            ) from error
        self._sample_rate = self._library.espeak_Initialize(SYNCHRONOUS, BUFFER_MILLISECONDS, above, 0)
        if self._sample_rate <= 0:
            raise EngineError(
                "no-speech", "espeak-ng cannot read its data.", "Install Edgewise's environment again."
            )  # fmt: skip
        self._library.espeak_TextToPhonemes.restype = ctypes.c_char_p
        # Kept, or Python would free what the library calls.
        self._callback = _CALLBACK(self._take)
        self._library.espeak_SetSynthCallback(self._callback)
        self._voice = ""

    def voices(self) -> list[Voice]:
        """List every accent with every variant; neighbours differ in both."""
        accents, variants = list(ACCENTS), sorted(VARIANTS)
        return [
            Voice(f"{ACCENTS[accent]}+{variant}", accent, VARIANTS[variant])
            for turn in range(len(accents))
            for place, variant in enumerate(variants)
            for accent in [accents[(place + turn) % len(accents)]]
        ]

    def phonemes(self, text: str) -> list[str]:
        """Return how a text is pronounced, in IPA without stress."""
        self._use(DICTION)
        rest = ctypes.c_char_p(text.encode())
        spoken = b""
        # A clause for each call, until the library sets the text to NULL.
        while rest.value is not None:
            spoken += self._library.espeak_TextToPhonemes(ctypes.byref(rest), UTF8, SEPARATED | IPA) + b"_"
        return [sound for sound in spoken.decode().translate(STRESS).replace(" ", "_").split("_") if sound]

    def speak(self, text: str, voice: Voice, *, words_per_minute: int, pitch: int) -> tuple[Int16Array, int]:
        """Return mono samples and their rate."""
        self._use(voice.name)
        # Its breath is random, by the clock unless told otherwise: the same text must sound the same.
        self._library.espeak_ng_SetRandSeed(ctypes.c_long(1))
        self._library.espeak_SetParameter(RATE, words_per_minute, 0)
        self._library.espeak_SetParameter(PITCH, pitch, 0)
        self._chunks = []
        content = text.encode() + b"\0"
        self._library.espeak_Synth(
            content, ctypes.c_size_t(len(content)), 0, POSITION_CHARACTER, 0, UTF8, None, None
        )  # fmt: skip
        self._library.espeak_Synchronize()
        samples = np.concatenate(self._chunks) if self._chunks else np.empty(0, dtype="<i2")
        return samples, self._sample_rate

    def _use(self, voice: str) -> None:
        if voice == self._voice:
            return
        if self._library.espeak_SetVoiceByName(voice.encode()):
            raise EngineError("no-voice", f"espeak-ng has no voice {voice}.", "Choose another voice.")
        self._voice = voice

    def _take(self, samples: ctypes._Pointer[ctypes.c_short], count: int, events: int | None) -> int:
        if samples and count:
            self._chunks.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0
