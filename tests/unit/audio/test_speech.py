"""Spoken words: many voices, the same for the same seed, quick."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgewise.spec.synthesis import SynthesisParameters
from workers.engine.audio import Int16Array
from workers.engine.errors import EngineError
from workers.engine.speech import (
    OTHER_WORDS,
    EspeakSynthesizer,
    SpokenClip,
    Voice,
    number_of_clips,
    speak_example,
    speak_words,
    with_near_misses,
)

CHECKOUT = Path(__file__).resolve().parents[3]


def wish(keywords: list[str], clips: int = 10, **rest: Any) -> SynthesisParameters:
    return SynthesisParameters(keywords=keywords, clips_per_word=clips, **{"near_misses": [], **rest})


def spoken(keywords: list[str], clips: int = 10, **rest: Any) -> list[SpokenClip]:
    return list(speak_words(wish(keywords, clips, **rest), EspeakSynthesizer()))


def test_words_others_and_noise() -> None:
    clips = spoken(["up", "smart_mirror"])
    counts = Counter(clip.label for clip in clips)
    assert len(clips) == number_of_clips(wish(["up", "smart_mirror"]))
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


def test_near_misses_come_behind_everything_else_and_are_spoken_as_often_as_other_words() -> None:
    plain, more = spoken(["stop"]), spoken(["stop"], near_misses=["step", "light_on"])
    words = [clip for clip in more if not clip.noise]
    assert [clip.name for clip in words[:-4]] == [clip.name for clip in plain if not clip.noise]
    assert [clip.label for clip in words[-4:]] == ["step", "step", "light_on", "light_on"]


def test_near_misses_are_found_unless_they_are_given() -> None:
    synthesizer = EspeakSynthesizer()
    found = with_near_misses(wish(["stop"], near_misses=None, near_misses_per_keyword=2), synthesizer)
    assert found.near_misses
    assert len(found.near_misses) == 2
    assert with_near_misses(wish(["stop"], near_misses=[]), synthesizer).near_misses == []


def test_only_chosen_voices_speak() -> None:
    clips = spoken(["up"], 40, accents=["scottish"], voices=["women"])
    voices = {clip.speaker for clip in clips if not clip.noise}
    assert len(voices) == 14
    assert all(voice.startswith("en-gb-scotland+") for voice in voices)
    assert "en-gb-scotland+linda" in voices
    # More clips than voices: each voice speaks again, and differently.
    assert len({clip.samples.tobytes() for clip in clips if clip.label == "up"}) == 40


def test_speed_and_pitch_stay_in_their_ranges() -> None:
    def seconds(speed: int) -> float:
        clips = spoken(["seven"], 20, slowest=speed, fastest=speed, voices=["men"], accents=["american"])
        return float(np.mean([len(clip.samples) / clip.sample_rate for clip in clips if clip.label == "seven"]))

    assert seconds(80) > 1.5 * seconds(250)


def test_an_example_says_a_keyword_with_a_chosen_voice() -> None:
    synthesizer = EspeakSynthesizer()
    example, voice = speak_example(wish(["stop", "light_on"], accents=["british"]), synthesizer)
    assert example.label in ("stop", "light_on")
    assert voice.accent == "british"
    assert len(example.samples) > 0.2 * example.sample_rate


def test_keywords_are_no_other_words() -> None:
    counts = Counter(clip.label for clip in spoken([OTHER_WORDS[0]], 20))
    assert counts[OTHER_WORDS[0]] == 20


def test_a_word_without_sound_is_refused() -> None:
    class Mute(EspeakSynthesizer):
        def speak(self, text: str, voice: Voice, *, words_per_minute: int, pitch: int) -> tuple[Int16Array, int]:
            return np.zeros(4000, dtype=np.int16), 8000

    with pytest.raises(EngineError, match="“shh” makes no sound"):
        list(speak_words(wish(["shh"]), Mute()))


def test_other_synthesizers_fit() -> None:
    class Whistle:
        def voices(self) -> list[Voice]:
            return [Voice("low", "american", "men"), Voice("high", "american", "women")]

        def speak(self, text: str, voice: Voice, *, words_per_minute: int, pitch: int) -> tuple[Int16Array, int]:
            hertz = 400 if voice.name == "low" else 800
            return (8000 * np.sin(2 * np.pi * hertz * np.arange(4000) / 8000)).astype(np.int16), 8000

        def phonemes(self, text: str) -> list[str]:
            return list(text)

    clips = list(speak_words(wish(["up"], near_misses=None), Whistle()))
    assert {clip.speaker for clip in clips if not clip.noise} == {"low", "high"}
    assert len({clip.name for clip in clips}) == len(clips)


def test_every_voice_speaks() -> None:
    synthesizer = EspeakSynthesizer()
    voices = synthesizer.voices()
    assert len(set(voices)) == len(voices) > 500
    for voice in voices[::20]:
        samples, rate = synthesizer.speak("yes", voice, words_per_minute=160, pitch=50)
        assert 0.2 < len(samples) / rate < 3, voice
