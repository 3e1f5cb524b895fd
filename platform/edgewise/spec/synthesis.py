"""Parameters of synthetic speech."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, model_validator

from edgewise.spec.fields import parameter, wrong
from edgewise.spec.words import Labels

Accent = Literal["american", "british", "scottish", "received", "new-york", "caribbean", "lancastrian", "midlands"]
ACCENTS: dict[str, str] = {
    "american": "American",
    "british": "British",
    "scottish": "Scottish",
    "received": "Received (RP)",
    "new-york": "New York",
    "caribbean": "Caribbean",
    "lancastrian": "Lancastrian",
    "midlands": "West Midlands",
}
Group = Literal["women", "men"]
GROUPS: dict[str, str] = {"women": "Women", "men": "Men"}


class SynthesisParameters(BaseModel):
    """What the machine shall speak, and how."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    schema_version: Literal[1] = 1

    keywords: Labels = parameter(
        title="Keywords",
        group="Words",
        min_length=1,
        max_length=100,
        help="The words or short phrases to detect.",
    )
    clips_per_word: int = parameter(
        250,
        title="Clips per keyword",
        group="Words",
        ge=10,
        le=5000,
        help="How often each keyword is spoken. Every other word is spoken a fifth as often.",
    )
    near_misses_per_keyword: int = parameter(
        3,
        title="Near misses",
        group="Words",
        unit="per keyword",
        ge=0,
        le=10,
        help="How many words that sound like a keyword are spoken with it. They become <unknown>, so that the network "
        "learns what is not quite the keyword.",
    )
    near_misses: Labels | None = parameter(
        None,
        title="Near misses to speak",
        group="Words",
        max_length=1000,
        help="These words are spoken as near misses; none given: they are found by their sound.",
    )
    accents: list[Accent] = parameter(
        list(ACCENTS),
        title="Accents",
        group="Voices",
        min_length=1,
        choices=ACCENTS,
        help="The kinds of English that are spoken.",
    )
    voices: list[Group] = parameter(
        list(GROUPS),
        title="Who speaks",
        group="Voices",
        min_length=1,
        choices=GROUPS,
        help="14 voices of women and 54 of men, each in every accent that is chosen.",
    )
    slowest: int = parameter(
        120,
        title="Slowest",
        group="Voices",
        unit="words/min",
        ge=80,
        le=400,
        help="The speed of each clip is drawn from here to the fastest.",
    )
    fastest: int = parameter(
        210,
        title="Fastest",
        group="Voices",
        unit="words/min",
        ge=80,
        le=400,
        help="The speed of each clip is drawn from the slowest to here.",
    )
    lowest_pitch: int = parameter(
        25,
        title="Lowest pitch",
        group="Voices",
        ge=0,
        le=99,
        help="The pitch of each clip is drawn from here to the highest; 50 is the voice's own.",
    )
    highest_pitch: int = parameter(
        75,
        title="Highest pitch",
        group="Voices",
        ge=0,
        le=99,
        help="The pitch of each clip is drawn from the lowest to here; 50 is the voice's own.",
    )
    seed: int = parameter(
        0,
        title="Seed",
        group="Voices",
        advanced=True,
        ge=0,
        le=2**31 - 1,
        help="The same seed always speaks the same clips.",
    )

    @model_validator(mode="after")
    def _ranges_are_not_empty(self) -> SynthesisParameters:
        if self.slowest > self.fastest:
            raise wrong("fastest", f"The fastest speech cannot be slower than the slowest, {self.slowest} words/min.")
        if self.lowest_pitch > self.highest_pitch:
            raise wrong("highest_pitch", f"The highest pitch cannot be below the lowest, {self.lowest_pitch}.")
        return self

    @model_validator(mode="after")
    def _near_misses_are_no_keywords(self) -> SynthesisParameters:
        if both := sorted(set(self.near_misses or ()) & set(self.keywords)):
            raise wrong("near_misses", f"{', '.join(both)} cannot be both a keyword and a near miss.")
        return self
