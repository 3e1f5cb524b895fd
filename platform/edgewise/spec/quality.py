"""What the check of raw data may find in clips: the names that engine, database, pages and API share."""

from __future__ import annotations

from enum import StrEnum


class FindingCode(StrEnum):
    """A kind of fault, the gravest first."""

    WRONG_LABEL = "wrong-label"
    CONFLICTING_LABELS = "conflicting-labels"
    EXACT_DUPLICATE_ACROSS_SPLITS = "exact-duplicate-across-splits"
    NEAR_DUPLICATE_ACROSS_SPLITS = "near-duplicate-across-splits"
    SPEAKER_IN_SEVERAL_SPLITS = "speaker-in-several-splits"
    EXACT_DUPLICATE = "exact-duplicate"
    NEAR_DUPLICATE = "near-duplicate"
    NEAR_SILENT = "near-silent"
    CLIPPED = "clipped"
    TOO_SHORT = "too-short"
    TOO_LONG = "too-long"
