"""What the page of the microphone reads."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from django.db.models import Count

from datasets_app.models import Origin, RawData, Take
from edgewise.accounts.models import Workspace
from edgewise.lookup import one
from edgewise.spec.recording import RecordingParameters

TAKES_SHOWN = 100


@dataclass(frozen=True)
class WordCount:
    """A word, how many clips of it there are, and how far that is towards the number that was meant."""

    label: str
    clips: int
    target: int


@dataclass(frozen=True)
class RecordingPage:
    """What the page shows: `waiting` takes in all, the newest of them as `takes`."""

    raw_data: RawData
    parameters: RecordingParameters
    words: list[WordCount]
    noise: int
    takes: list[Take]
    waiting: int


def takes(raw_data: RawData) -> list[Take]:
    """The newest takes."""
    return list(raw_data.takes.order_by("-id")[:TAKES_SHOWN])


def recorded(workspace: Workspace, raw_data_id: uuid.UUID) -> RawData:
    """Raw data of the workspace's own that is recorded, with its job."""
    rows = RawData.objects.filter(workspace=workspace, pk=raw_data_id, origin=Origin.RECORDED)
    return one(rows.select_related("import_job"), "recording")


def recording_page(raw_data: RawData) -> RecordingPage:
    """Words with their clips, put together or waiting, and the newest takes."""
    parameters = RecordingParameters.model_validate(raw_data.import_job.options)
    waiting = dict(raw_data.takes.order_by().values_list("label").annotate(Count("id")))
    clips = {label: sum(splits.values()) for label, splits in raw_data.label_counts.items()}
    words = [
        WordCount(word, clips.get(word, 0) + waiting.get(word, 0), parameters.clips_per_word)
        for word in parameters.words
    ]
    noise = raw_data.noise_count + sum(waiting.values()) - sum(waiting.get(word, 0) for word in parameters.words)
    return RecordingPage(raw_data, parameters, words, noise, takes(raw_data), sum(waiting.values()))
