"""Parameters of a dataset: a recipe over raw data."""

from __future__ import annotations

import uuid
from typing import Literal

from pydantic import BaseModel, ConfigDict, field_validator, model_validator

from edgewise.spec.fields import parameter, wrong

SILENCE = "<silence>"
UNKNOWN = "<unknown>"
SPLITS = ("train", "validation", "test")
ORIGINAL_NOISE = "original"
NO_NOISE = "none"


class DatasetParameters(BaseModel):
    """The recipe that turns the clips of raw data into labelled training, validation and test clips."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    schema_version: Literal[1] = 1

    keywords: list[str] = parameter(
        title="Keywords",
        group="Labels",
        min_length=1,
        max_length=100,
        help="The words to detect, in the order of the network's outputs. All other words become <unknown>.",
    )
    sample_rate: int = parameter(
        16000,
        title="Sample rate",
        group="Audio",
        unit="Hz",
        ge=8000,
        le=48000,
        help="Rate at which the device will record. Clips with another rate are resampled.",
    )
    clip_duration_ms: int = parameter(
        1000,
        title="Clip duration",
        group="Audio",
        unit="ms",
        ge=250,
        le=10000,
        help="Length of each training clip. Shorter clips are padded, longer ones are cut where their speech is.",
    )
    silence_percentage: float = parameter(
        10.0,
        title="Silence",
        group="Labels",
        unit="% of clips per keyword",
        ge=0,
        le=100,
        help="How many clips of background noise are labelled <silence>, relative to the mean number of clips of a "
        "keyword. 0 leaves the label out.",
    )
    unknown_percentage: float = parameter(
        10.0,
        title="Unknown words",
        group="Labels",
        unit="% of clips per keyword",
        ge=0,
        le=200,
        help="How many clips of words that were not selected are labelled <unknown>, relative to the mean number of "
        "clips of a keyword. 0 leaves the label out.",
    )
    noise: str = parameter(
        ORIGINAL_NOISE,
        title="Background noise",
        group="Audio",
        choices={ORIGINAL_NOISE: "The data's own background noise", NO_NOISE: "Generated noise only"},
        help="The recordings that are mixed into training clips and cut into <silence> clips. Other raw data that has "
        "noise is named by its id. Where there are no recordings, noise is generated.",
    )
    split: Literal["original", "speaker", "clip"] = parameter(
        "original",
        title="Split",
        group="Split",
        advanced=True,
        choices={"original": "As the data is divided", "speaker": "By speaker", "clip": "By clip"},
        help="How clips are divided into training, validation and test. By speaker keeps each voice in one part, "
        "which is the honest test of how the model will do with new people.",
    )
    validation_percentage: float = parameter(
        10.0,
        title="Validation part",
        group="Split",
        advanced=True,
        unit="%",
        ge=1,
        le=45,
        help="Part of the clips that chooses the best checkpoint, when the split is by speaker or by clip.",
    )
    test_percentage: float = parameter(
        10.0,
        title="Test part",
        group="Split",
        advanced=True,
        unit="%",
        ge=1,
        le=45,
        help="Part of the clips that judges the finished model, when the split is by speaker or by clip.",
    )
    max_clips_per_keyword: int = parameter(
        0,
        title="Clips per keyword",
        group="Split",
        advanced=True,
        ge=0,
        le=1_000_000,
        help="Use at most this many training clips of each keyword; 0 uses all.",
    )
    seed: int = parameter(
        0,
        title="Seed",
        group="Split",
        advanced=True,
        ge=0,
        le=2**31 - 1,
        help="The same seed always draws the same clips.",
    )

    @field_validator("keywords")
    @classmethod
    def _keywords_are_distinct_words(cls, keywords: list[str]) -> list[str]:
        if len(set(keywords)) != len(keywords):
            raise ValueError("Each keyword can be chosen once.")
        if "" in keywords:
            raise ValueError("A keyword is empty: leave it out, or name the word.")
        if reserved := sorted({SILENCE, UNKNOWN} & set(keywords)):
            raise ValueError(f"{', '.join(map(repr, reserved))} cannot be a keyword: Edgewise makes that label itself.")
        return keywords

    @field_validator("noise")
    @classmethod
    def _noise_has_a_source(cls, noise: str) -> str:
        if noise in (ORIGINAL_NOISE, NO_NOISE):
            return noise
        try:
            return str(uuid.UUID(noise))
        except ValueError:
            raise ValueError(
                f"Background noise must be {ORIGINAL_NOISE}, {NO_NOISE}, or the id of raw data; {noise!r} is not."
            ) from None

    @model_validator(mode="after")
    def _something_is_left_to_train_on(self) -> DatasetParameters:
        if self.validation_percentage + self.test_percentage > 80:
            raise wrong("test_percentage", "Validation and test part together must leave at least 20% for training.")
        return self

    @property
    def labels(self) -> list[str]:
        """Labels in the order of the network's outputs."""
        made = [(SILENCE, self.silence_percentage), (UNKNOWN, self.unknown_percentage)]
        return [label for label, percentage in made if percentage > 0] + self.keywords

    @property
    def foreign_noise(self) -> uuid.UUID | None:
        """Id of the other raw data whose noise is used."""
        return None if self.noise in (ORIGINAL_NOISE, NO_NOISE) else uuid.UUID(self.noise)

    @property
    def clip_samples(self) -> int:
        """Length of a training clip in samples."""
        return round(self.sample_rate * self.clip_duration_ms / 1000)
