"""What each kind of finding means to people."""

from __future__ import annotations

from dataclasses import dataclass

from edgewise.spec.quality import FindingCode


@dataclass(frozen=True)
class Kind:
    """A kind of finding in words."""

    code: FindingCode
    title: str
    why: str
    what_to_do: str
    is_grave: bool = False
    """Whether it makes results look better, or training worse, than anybody would expect."""


_ONE_STAYS = "Excluding leaves one copy of each: the one in the test or validation split, where clips are fewer."
_LISTEN = "Listen to a few before you exclude them."
KINDS = {
    kind.code: kind
    for kind in (
        Kind(
            FindingCode.WRONG_LABEL, "Probably wrong labels", "These clips sound like another word than their label.",
            "Listen, then relabel or exclude them: some are right after all.", is_grave=True,
        ),
        Kind(
            FindingCode.CONFLICTING_LABELS, "One recording under two labels",
            "At most one of the labels can be right, and the network is taught both.",
            "Listen and exclude the wrong one. Excluding all takes out both.", is_grave=True,
        ),
        Kind(
            FindingCode.EXACT_DUPLICATE_ACROSS_SPLITS, "The same recording in two splits",
            "The network is tested on what it was trained on, so results look better than they are.",
            _ONE_STAYS, is_grave=True,
        ),
        Kind(
            FindingCode.NEAR_DUPLICATE_ACROSS_SPLITS, "Nearly the same recording in two splits",
            "A copy at another level, rate or place, or coded anew: results look better than they are.",
            _ONE_STAYS, is_grave=True,
        ),
        Kind(
            FindingCode.SPEAKER_IN_SEVERAL_SPLITS, "Speakers in several splits",
            "Results then say nothing about people whom the network has not heard.",
            "Split the dataset by speaker; or exclude these clips, which lie outside their speaker's main split.",
            is_grave=True,
        ),
        Kind(
            FindingCode.EXACT_DUPLICATE, "The same recording twice", "It counts twice in training, or in the test.",
            _ONE_STAYS,
        ),
        Kind(
            FindingCode.NEAR_DUPLICATE, "Nearly the same recording twice",
            "A copy at another level, rate or place, or coded anew counts twice.", _ONE_STAYS,
        ),
        Kind(FindingCode.NEAR_SILENT, "Nearly silent", "Hardly anything is to be heard in these clips.", _LISTEN),
        Kind(FindingCode.CLIPPED, "Clipped", "They were recorded too loudly: their peaks are cut off.", _LISTEN),
        Kind(FindingCode.TOO_SHORT, "Too short", "They are shorter than any word.", _LISTEN),
        Kind(
            FindingCode.TOO_LONG, "Too long",
            "They are more than three times as long as most: a dataset keeps the loudest part alone.", _LISTEN,
        ),
    )
}  # fmt: skip
