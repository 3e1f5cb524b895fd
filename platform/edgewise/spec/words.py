"""Words and short phrases as people type them, and the labels that they become."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from pydantic import BeforeValidator

LONGEST_LABEL = 100
ALLOWED_SIGNS = "_'-"


def labels_of(words: object) -> object:
    """Turn typed words into labels: lower case, `_` between the words of a phrase, empty ones left out.

    Raises:
        ValueError: a word cannot be a label, or comes twice.
    """
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        return words  # pydantic says what is wrong with it
    labels = ["_".join(word.lower().split()) for word in words if word.strip()]
    _require_allowed(labels)
    if twice := sorted({label for label in labels if labels.count(label) > 1}):
        raise ValueError(f"{', '.join(twice)}: give each word once.")
    return labels


def split_words(text: str) -> list[str]:
    """Take words that were typed with commas or line breaks between them; spaces are part of a phrase."""
    return [word.strip() for word in text.replace("\n", ",").split(",") if word.strip()]


def _require_allowed(labels: Iterable[str]) -> None:
    for label in labels:
        if len(label) > LONGEST_LABEL:
            raise ValueError(f"“{label[:20]}…” is too long: a word has at most {LONGEST_LABEL} letters.")
        if not any(map(str.isalnum, label)) or not all(sign.isalnum() or sign in ALLOWED_SIGNS for sign in label):
            raise ValueError(f"“{label}” cannot be a word: use letters, digits, _ ' and - only.")
        if label.startswith("_"):
            raise ValueError(f"“{label}” cannot be a word: names that begin with _ are kept for noise.")


Labels = Annotated[list[str], BeforeValidator(labels_of)]
"""A list of words that validation turns into labels."""
