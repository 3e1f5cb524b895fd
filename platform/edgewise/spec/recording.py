"""Parameters of raw data that people record with a microphone."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from edgewise.spec.fields import parameter
from edgewise.spec.words import Labels


class RecordingParameters(BaseModel):
    """What shall be recorded: the page of the microphone goes by it."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    schema_version: Literal[1] = 1

    words: Labels = parameter(
        title="Words",
        group="Recording",
        min_length=1,
        max_length=100,
        help="The words or short phrases to record. More can be added later. Record other words, too: they become "
        "<unknown>.",
    )
    clip_duration_ms: int = parameter(
        1000,
        title="Clip duration",
        group="Recording",
        unit="ms",
        ge=250,
        le=10000,
        help="Length of each clip. What is said is found and cut out, with the word in the middle.",
    )
    clips_per_word: int = parameter(
        50,
        title="Clips per word",
        group="Recording",
        ge=1,
        le=5000,
        help="How many clips of each word you mean to record; the page counts towards it.",
    )
