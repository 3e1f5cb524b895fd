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

ACCENTS = (
    "en-us", "en", "en-gb-scotland", "en-gb-x-rp", "en-us-nyc", "en-029", "en-gb-x-gbclan", "en-gb-x-gbcwmd",
)  # fmt: skip
VARIANTS = (
    "Alex", "Alicia", "Andrea", "Andy", "Annie", "Denis", "Diogo", "Gene", "Henrique", "Hugo", "Jacky", "Lee", "Marco",
    "Mario", "Michael", "Mike", "Nguyen", "Reed", "Storm", "adam", "anika", "antonio", "aunty", "belinda", "benjamin",
    "boris", "caleb", "david", "ed", "edward", "f1", "f2", "f3", "f4", "f5", "grandma", "grandpa", "gustave", "ian",
    "iven", "john", "klatt", "linda", "m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "marcelo", "max", "michel",
    "miguel", "norbert", "pablo", "paul", "pedro", "quincy", "rob", "robert", "sandro", "shelby", "steph", "travis",
    "victor", "zac",
)  # fmt: skip

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
        # Kept, or Python would free what the library calls.
        self._callback = _CALLBACK(self._take)
        self._library.espeak_SetSynthCallback(self._callback)
        self._voice = ""

    def voices(self) -> list[Voice]:
        """List every accent with every variant; neighbours differ in both."""
        return [
            Voice(f"{ACCENTS[(place + turn) % len(ACCENTS)]}+{variant}")
            for turn in range(len(ACCENTS))
            for place, variant in enumerate(VARIANTS)
        ]

    def speak(self, text: str, voice: Voice, *, words_per_minute: int, pitch: int) -> tuple[Int16Array, int]:
        """Return mono samples and their rate."""
        self._use(voice)
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

    def _use(self, voice: Voice) -> None:
        if voice.name == self._voice:
            return
        if self._library.espeak_SetVoiceByName(voice.name.encode()):
            raise EngineError("no-voice", f"espeak-ng has no voice {voice.name}.", "Choose another voice.")
        self._voice = voice.name

    def _take(self, samples: ctypes._Pointer[ctypes.c_short], count: int, events: int | None) -> int:
        if samples and count:
            self._chunks.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0
