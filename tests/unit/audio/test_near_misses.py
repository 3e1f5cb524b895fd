"""Near misses: words that sound almost like a keyword, and never exactly like one."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from workers.engine.speech import EspeakSynthesizer, near_misses
from workers.engine.speech.near_misses import common_words, distance


@pytest.fixture(scope="module")
def english() -> EspeakSynthesizer:
    return EspeakSynthesizer()


def found(english: EspeakSynthesizer, *keywords: str, count: int = 5) -> list[str]:
    return near_misses(keywords, count, english.phonemes)


def test_words_are_transcribed_sound_by_sound(english: EspeakSynthesizer) -> None:
    assert english.phonemes("stop") == ["s", "t", "ɑː", "p"]
    assert english.phonemes("write") == english.phonemes("right")
    assert english.phonemes("") == []


def test_distances() -> None:
    assert distance("stop", "stop") == 0
    assert distance("stop", "top") == pytest.approx(1 / 4)
    assert distance("stop", "stob") == pytest.approx(0.5 / 4), "a stop for a stop"
    assert distance("stop", "stos") == pytest.approx(1 / 4), "a fricative for a stop"
    assert distance("", "abc") == 1


def test_the_nearest_words_come_first(english: EspeakSynthesizer) -> None:
    words = found(english, "light")
    far = [distance(english.phonemes("light"), english.phonemes(word)) for word in words]
    assert len(words) == 5
    assert far == sorted(far)
    assert 0 < far[0] <= far[-1] <= 0.3


def test_what_sounds_like_a_keyword_is_none(english: EspeakSynthesizer) -> None:
    words = found(english, "right", "sea", count=30)
    sounds = {tuple(english.phonemes(word)) for word in ("right", "sea")}
    assert not {"right", "write", "sea", "see"} & set(words)
    assert not {tuple(english.phonemes(word)) for word in words} & sounds


def test_keywords_are_no_near_misses_of_each_other(english: EspeakSynthesizer) -> None:
    assert "step" in found(english, "stop")
    words = found(english, "stop", "step")
    assert not {"stop", "step"} & set(words)
    assert len(words) == len(set(words)) == 10


def test_a_phrase_is_missed_by_its_parts_and_by_one_wrong_word(english: EspeakSynthesizer) -> None:
    words = found(english, "hey_robot", count=6)
    assert words[:2] == ["hey", "robot"]
    assert all(word.startswith("hey_") or word.endswith("_robot") for word in words[2:])
    assert any(word.startswith("hey_") for word in words[2:])
    assert any(word.endswith("_robot") for word in words[2:])


def test_a_word_like_no_other_has_no_near_misses() -> None:
    def silent(text: str) -> Sequence[str]:
        return ["q"] * 40 if text == "brrr" else list(text)

    assert near_misses(["brrr"], 5, silent) == []


def test_the_list_holds_each_word_once() -> None:
    words = common_words()
    assert len(words) > 1500
    assert len(set(words)) == len(words)
    assert all(word.isalpha() and word == word.lower() for word in words)
