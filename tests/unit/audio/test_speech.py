"""Spoken words: many voices, the same for the same seed, quick."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from workers.engine.audio import Int16Array
from workers.engine.errors import EngineError
from workers.engine.speech import OTHER_WORDS, EspeakSynthesizer, SpokenClip, Voice, number_of_clips, speak_words

CHECKOUT = Path(__file__).resolve().parents[3]


def spoken(keywords: list[str], clips: int = 10, seed: int = 0) -> list[SpokenClip]:
    return list(speak_words(keywords, clips, seed))


def test_words_others_and_noise() -> None:
    clips = spoken(["up", "smart_mirror"])
    counts = Counter(clip.label for clip in clips)
    assert len(clips) == number_of_clips(["up", "smart_mirror"], 10)
    assert (counts["up"], counts["smart_mirror"]) == (10, 10)
    assert set(counts) == {"up", "smart_mirror", *OTHER_WORDS, "_background_noise_"}
    assert len({clip.name for clip in clips}) == len(clips)
    assert {clip.sample_rate for clip in clips} == {16000}


def test_voices_speakers_and_sounds_differ() -> None:
    clips = [clip for clip in spoken(["up"], 40) if clip.label == "up"]
    assert len({clip.speaker for clip in clips}) == 40
    assert len({clip.samples.tobytes() for clip in clips}) == 40
    assert all(clip.name == f"up/{clip.speaker}_nohash_0.wav" for clip in clips)


def test_silence_is_cut_off_and_levels_are_sound() -> None:
    for clip in spoken(["stop"]):
        if clip.noise:
            assert len(clip.samples) == 20 * 16000
            continue
        loud = np.flatnonzero(np.abs(clip.samples.astype(int)) > np.abs(clip.samples.astype(int)).max() / 10)
        assert 0.1 * 16000 < len(clip.samples) < 2 * 16000
        assert loud[0] < 0.3 * 16000
        assert 32767 * 10 ** (-15.1 / 20) < np.abs(clip.samples.astype(int)).max() <= 32767


def test_noises_differ() -> None:
    noises = {clip.name: clip.samples.astype(float) for clip in spoken(["up"]) if clip.noise}
    assert len(noises) == 5
    energies = {name: np.square(np.abs(np.fft.rfft(audio))) for name, audio in noises.items()}
    low = {name.split("/")[1]: energy[: len(energy) // 8].sum() / energy.sum() for name, energy in energies.items()}
    assert low["white.wav"] < 0.3 < low["pink.wav"] < low["brown.wav"]


def test_a_seed_gives_the_same_in_every_process() -> None:
    def sounds(seed: int) -> str:
        command = [sys.executable, "-m", "tests.unit.audio.speak", str(seed)]
        finished = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=CHECKOUT)
        return finished.stdout

    first = sounds(1)
    assert len(first) > 32
    assert sounds(1) == first
    assert sounds(2) != first


def test_keywords_are_no_other_words() -> None:
    counts = Counter(clip.label for clip in spoken([OTHER_WORDS[0]], 20))
    assert counts[OTHER_WORDS[0]] == 20


def test_a_word_without_sound_is_refused() -> None:
    with pytest.raises(EngineError, match="“___” makes no sound"):
        spoken(["___"])


def test_other_synthesizers_fit() -> None:
    class Whistle:
        def voices(self) -> list[Voice]:
            return [Voice("low"), Voice("high")]

        def speak(self, text: str, voice: Voice, *, words_per_minute: int, pitch: int) -> tuple[Int16Array, int]:
            hertz = 400 if voice.name == "low" else 800
            return (8000 * np.sin(2 * np.pi * hertz * np.arange(4000) / 8000)).astype(np.int16), 8000

    clips = list(speak_words(["up"], 10, 0, Whistle()))
    assert {clip.speaker for clip in clips if not clip.noise} == {"low", "high"}
    assert len({clip.name for clip in clips}) == len(clips)


def test_every_voice_speaks() -> None:
    synthesizer = EspeakSynthesizer()
    voices = synthesizer.voices()
    assert len(set(voices)) == len(voices) > 500
    for voice in voices[::20]:
        samples, rate = synthesizer.speak("yes", voice, words_per_minute=160, pitch=50)
        assert 0.2 < len(samples) / rate < 3, voice


def test_it_is_quick() -> None:
    started = time.process_time()
    spoken(["up", "down", "left", "right", "stop"], 200)
    assert time.process_time() - started < 30
