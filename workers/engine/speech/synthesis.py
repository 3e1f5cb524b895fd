"""Spoken words as raw data: keywords, other words and noise, by many voices.

Everything is drawn from a seed. Each voice speaks as one speaker, so that a split by speaker keeps voices apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from edgewise.spec.synthesis import SynthesisParameters
from workers.engine.audio import Int16Array, resample
from workers.engine.errors import EngineError
from workers.engine.speech.near_misses import near_misses

SAMPLE_RATE = 16000
NOISE_SECONDS = 20
MARGIN_SECONDS = 0.03
OTHERS_PER_KEYWORD_CLIP = 0.2
"""Clips of each other word for each clip of a keyword: together they make several times what `<unknown>` needs."""

OTHER_WORDS = (
    "about", "again", "apple", "before", "bottle", "bridge", "circle", "coffee", "dinner", "every", "finger", "garden",
    "happy", "island", "kitchen", "letter", "market", "morning", "number", "orange", "paper", "question", "river",
    "school", "table", "under", "village", "water", "window", "yellow",
)  # fmt: skip


@dataclass(frozen=True)
class Voice:
    """A way to speak: its name in the synthesizer, the accent, and whether a woman or a man seems to speak."""

    name: str
    accent: str
    group: str


class Synthesizer(Protocol):
    """Anything that speaks."""

    def voices(self) -> list[Voice]:
        """List the voices, always in the same order."""
        ...

    def speak(self, text: str, voice: Voice, *, words_per_minute: int, pitch: int) -> tuple[Int16Array, int]:
        """Return mono samples and their rate. `pitch` goes from 0 to 99, 50 is the voice's own."""
        ...

    def phonemes(self, text: str) -> list[str]:
        """Return how a text is pronounced, in IPA without stress."""
        ...


@dataclass(frozen=True)
class SpokenClip:
    """One clip of raw data."""

    name: str
    label: str
    speaker: str
    noise: bool
    samples: Int16Array
    sample_rate: int


def with_near_misses(asked: SynthesisParameters, synthesizer: Synthesizer) -> SynthesisParameters:
    """Find the words that sound like the keywords, unless they are given."""
    if asked.near_misses is not None:
        return asked
    found = near_misses(asked.keywords, asked.near_misses_per_keyword, synthesizer.phonemes)
    return asked.model_copy(update={"near_misses": found})


def number_of_clips(asked: SynthesisParameters) -> int:
    """Count the clips that `speak_words` gives, with the near misses that are given."""
    return sum(count for _, count in _words(asked)) + len(NOISES)


def speak_words(asked: SynthesisParameters, synthesizer: Synthesizer) -> Iterator[SpokenClip]:
    """Speak keywords, other words and near misses, then give background noises: 16 kHz, the same for the same seed.

    Raises:
        EngineError: a word makes no sound.
    """
    asked = with_near_misses(asked, synthesizer)
    voices = _voices(asked, synthesizer)
    babble: list[Int16Array] = []
    for index, (word, count) in enumerate(_words(asked)):
        generator = np.random.default_rng([asked.seed, index])
        order = generator.permutation(len(voices))
        for number in range(count):
            voice = voices[order[number % len(voices)]]
            samples = _speak(synthesizer, word, voice, asked, generator)
            if number % 25 == 0:
                babble.append(samples)
            name = f"{word}/{voice.name}_nohash_{number // len(voices)}.wav"
            yield SpokenClip(name, word, voice.name, False, samples, SAMPLE_RATE)
    for index, kind in enumerate(NOISES):
        # A stream of its own for each: white and brown from one stream would be the same noise, filtered.
        samples = _noise(kind, babble, np.random.default_rng([asked.seed, index, 1]))
        yield SpokenClip(f"_background_noise_/{kind}.wav", "_background_noise_", "", True, samples, SAMPLE_RATE)


def speak_example(asked: SynthesisParameters, synthesizer: Synthesizer) -> tuple[SpokenClip, Voice]:
    """Speak one keyword with one of the voices, both drawn from the seed.

    Raises:
        EngineError: the word makes no sound.
    """
    generator = np.random.default_rng(asked.seed)
    voices = _voices(asked, synthesizer)
    word = asked.keywords[int(generator.integers(len(asked.keywords)))]
    voice = voices[int(generator.integers(len(voices)))]
    samples = _speak(synthesizer, word, voice, asked, generator)
    return SpokenClip(f"{word}/{voice.name}.wav", word, voice.name, False, samples, SAMPLE_RATE), voice


def _voices(asked: SynthesisParameters, synthesizer: Synthesizer) -> list[Voice]:
    return [voice for voice in synthesizer.voices() if voice.accent in asked.accents and voice.group in asked.voices]


def _words(asked: SynthesisParameters) -> list[tuple[str, int]]:
    count = max(1, round(asked.clips_per_word * OTHERS_PER_KEYWORD_CLIP))
    # Near misses come last: whichever they are, all other clips stay as they were.
    others = dict.fromkeys([*OTHER_WORDS, *(asked.near_misses or ())])
    return [
        *((word, asked.clips_per_word) for word in asked.keywords),
        *((word, count) for word in others if word not in asked.keywords),
    ]


def _speak(
    synthesizer: Synthesizer, word: str, voice: Voice, asked: SynthesisParameters, generator: np.random.Generator
) -> Int16Array:
    text = word.replace("_", " ")
    speed = int(generator.integers(asked.slowest, asked.fastest, endpoint=True))
    pitch = int(generator.integers(asked.lowest_pitch, asked.highest_pitch, endpoint=True))
    spoken, rate = synthesizer.speak(text, voice, words_per_minute=speed, pitch=pitch)
    samples = _trimmed(resample(spoken, rate, SAMPLE_RATE))
    if not len(samples):
        raise EngineError(
            "unspeakable",
            f"The word “{word}” makes no sound.",
            "Choose a word that can be read aloud, or upload recordings.",
        )
    level = 10 ** (generator.uniform(-15, -3) / 20) * 32767
    return _scaled(samples, level)


def _trimmed(samples: Int16Array) -> Int16Array:
    loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > 100)
    if not len(loud):
        return samples[:0]
    margin = int(MARGIN_SECONDS * SAMPLE_RATE)
    return samples[max(0, loud[0] - margin) : loud[-1] + margin]


def _scaled(samples: npt.NDArray[np.int16] | npt.NDArray[np.float64], peak: float) -> Int16Array:
    audio = samples.astype(np.float64)
    return np.asarray(np.rint(audio * (peak / np.abs(audio).max())), dtype="<i2")


# --- noise ------------------------------------------------------------------------------------------------------------

NOISES = ("white", "pink", "brown", "hum", "babble")
_FALL = {"white": 0.0, "pink": 0.5, "brown": 1.0}


def _noise(kind: str, babble: Sequence[Int16Array], generator: np.random.Generator) -> Int16Array:
    count = NOISE_SECONDS * SAMPLE_RATE
    if kind == "hum":
        audio = _hum(count, generator)
    elif kind == "babble":
        audio = _mixed(babble, count, generator)
    else:
        spectrum = np.fft.rfft(generator.standard_normal(count))
        spectrum[1:] /= np.arange(1, len(spectrum)) ** _FALL[kind]
        audio = np.fft.irfft(spectrum, count)
    # Loud and soft stretches: rooms are not equally noisy all the time.
    swell = np.repeat(10 ** (generator.uniform(-30, 0, NOISE_SECONDS) / 20), SAMPLE_RATE)
    return _scaled(audio / np.abs(audio).max() * swell, 10 ** (-6 / 20) * 32767)


def _hum(count: int, generator: np.random.Generator) -> npt.NDArray[np.float64]:
    time = np.arange(count) / SAMPLE_RATE
    phases = generator.uniform(0, 2 * np.pi, 12)
    tones = [np.sin(2 * np.pi * 50 * (n + 1) * time + phase) / (n + 1) for n, phase in enumerate(phases)]
    return np.asarray(np.sum(tones, axis=0) + 0.02 * generator.standard_normal(count))


def _mixed(clips: Sequence[Int16Array], count: int, generator: np.random.Generator) -> npt.NDArray[np.float64]:
    """Many voices at once, backwards: speech in sound, but no word of it."""
    mix = 1e-3 * generator.standard_normal(count)
    for _ in range(12 * NOISE_SECONDS):
        clip = clips[int(generator.integers(len(clips)))][::-1][:count]
        begin = int(generator.integers(count - len(clip) + 1))
        mix[begin : begin + len(clip)] += clip / 32768
    return mix
