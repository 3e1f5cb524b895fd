"""Words that sound almost like keywords: what a network must learn to tell from them.

Words are compared as sequences of phonemes by an edit distance. Neighbours at one phoneme added, dropped or replaced
are those that listeners confuse (Luce & Pisoni 1998, "Recognizing spoken words: the neighborhood activation model");
a phoneme replaced by one of its own kind (a vowel by a vowel, a stop by a stop) counts half.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import chain, islice, zip_longest
from pathlib import Path

LIST = Path(__file__).with_name("common_words.txt")
FARTHEST = 0.5
"""Distance, as a part of the longer word, up to which a word is a near miss."""
ALIKE = 0.5
"""Cost of a phoneme that is replaced by one of its kind."""
KINDS = ("pbtdkɡɾʔ", "fvθðszʃʒhç", "mnŋ", "lɹrwjɫ")
"""Stops, fricatives, nasals and approximants; everything else begins as a vowel does."""

Phonemes = Sequence[str]
Transcribe = Callable[[str], Phonemes]


def near_misses(keywords: Sequence[str], per_keyword: int, transcribe: Transcribe) -> list[str]:
    """Find words or phrases that sound like keywords but are none, the nearest first for each keyword.

    Args:
        keywords: labels; `_` stands between the words of a phrase.
        per_keyword: how many for each at most.
        transcribe: gives the phonemes (IPA) of a text.

    Near misses of a phrase are its words alone, and the phrase with one word replaced. What sounds exactly like a
    keyword is never among them: no network could tell the two apart.
    """
    transcribed = cache(lambda text: tuple(transcribe(text)))
    sounds = {transcribed(keyword.replace("_", " ")) for keyword in keywords}
    found: dict[str, None] = {}
    for keyword in keywords:
        new = (
            label for label in _candidates(keyword, transcribed)
            if label not in found and transcribed(label.replace("_", " ")) not in sounds
        )  # fmt: skip
        found.update(dict.fromkeys(islice(new, per_keyword)))
    return list(found)


def distance(one: Phonemes, other: Phonemes) -> float:
    """Edit distance of two words as a part of the longer one, from 0 to 1."""
    before = [float(column) for column in range(len(other) + 1)]
    for row, sound in enumerate(one, start=1):
        current = [float(row)]
        for column, other_sound in enumerate(other, start=1):
            replaced = before[column - 1] + _cost(sound, other_sound)
            current.append(min(before[column] + 1, current[-1] + 1, replaced))
        before = current
    return before[-1] / max(len(one), len(other), 1)


@cache
def common_words() -> tuple[str, ...]:
    """List the words from which near misses are chosen."""
    lines = LIST.read_text(encoding="utf-8").splitlines()
    return tuple(word for line in lines if not line.startswith("#") for word in line.split())


def _candidates(keyword: str, transcribe: Transcribe) -> Iterator[str]:
    words = keyword.split("_")
    if len(words) == 1:
        return iter(_neighbours(keyword, transcribe))
    replaced = [
        ["_".join([*words[:place], other, *words[place + 1 :]]) for other in _neighbours(word, transcribe)]
        for place, word in enumerate(words)
    ]
    # In turns, so that each word of the phrase is replaced.
    turns = chain.from_iterable(zip_longest(*replaced))
    return chain(words, (label for label in turns if label is not None))


def _neighbours(word: str, transcribe: Transcribe) -> list[str]:
    sound = transcribe(word)
    distances = [(distance(sound, transcribe(other)), other) for other in common_words()]
    return [other for far, other in sorted(distances) if 0 < far <= FARTHEST]


def _cost(one: str, other: str) -> float:
    if one == other:
        return 0
    return ALIKE if _kind(one) == _kind(other) else 1


def _kind(phoneme: str) -> int:
    return next((index for index, sounds in enumerate(KINDS) if phoneme[:1] in sounds), len(KINDS))
