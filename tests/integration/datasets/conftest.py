"""People, archives, and imports that are done here, as a worker's child does them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.files import File
from pytest_django import DjangoCaptureOnCommitCallbacks

from datasets_app import services
from datasets_app.models import Clip, ClipKind, Origin, RawData, RawDataImport, Source, Split
from edgewise.accounts.models import User, Workspace
from edgewise.accounts.services import give_personal_workspace
from edgewise.jobs import services as jobs
from edgewise.jobs.models import State
from tests.unit.audio.recordings import noise, plain_wav, tar, wav
from workers.attempt import Attempt
from workers.engine.errors import EngineError
from workers.jobs import import_raw_data

WORDS = ("up", "down", "left")
SPLITS = ["train"] * 8 + ["validation", "test"]
"""Of ten clips, one after the other."""
SPEAKERS = tuple(f"{number:08x}" for number in range(30))


def speech_commands() -> dict[str, bytes]:
    """Files in the original layout: three words by thirty people, one noise."""
    files = {f"{word}/{who}_nohash_0.wav": wav(n) for word in WORDS for n, who in enumerate(SPEAKERS)}
    return {**files, "_background_noise_/tap.wav": plain_wav(noise(32000))}


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return tar(tmp_path / "words.tar.gz", speech_commands())


@pytest.fixture
def upload(alice: User, workspace: Workspace) -> Callable[..., RawData]:
    """Upload a file, as the dialog does."""

    def upload(path: Path, name: str = "Words") -> RawData:
        with path.open("rb") as file:
            return services.import_archive(
                workspace=workspace, user=alice, name=name, file=File(file), file_name=path.name
            )

    return upload


Work = Callable[[RawData], RawData]


@pytest.fixture
def work(django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks) -> Work:
    """Do the import that waits, as the worker's child does it."""

    def work(raw_data: RawData) -> RawData:
        claimed = jobs.claim(RawDataImport, raw_data.import_job.pk, "worker")
        assert claimed is not None
        attempt = Attempt(claimed, threading.Event())
        with django_capture_on_commit_callbacks(execute=True):
            try:
                import_raw_data.run(attempt)
            except EngineError as error:
                attempt.fail(error.code, error.reason, error.remedy)
        return RawData.objects.select_related("import_job").get(pk=raw_data.pk)

    return work


@pytest.fixture
def words(upload: Callable[..., RawData], work: Work, archive: Path) -> RawData:
    """Raw data that was imported."""
    return work(upload(archive))


def make_clips(user: User, clips: list[dict[str, Any]], name: str = "Rows") -> RawData:
    """Raw data of rows alone: no audio."""
    workspace = give_personal_workspace(user)
    counts: dict[str, dict[str, int]] = {}
    for clip in clips:
        if clip.get("kind") != ClipKind.NOISE:
            splits = counts.setdefault(clip["label"], dict.fromkeys(Split.values, 0))
            splits[clip["split"]] += 1
    raw_data = RawData.objects.create(
        workspace=workspace, created_by=user, name=name, origin=Origin.UPLOADED, label_counts=counts
    )
    settle(raw_data)
    rest = {"length": 16000, "sample_rate": 16000, "peak_dbfs": -3, "rms_dbfs": -20}
    Clip.objects.bulk_create(
        Clip(raw_data=raw_data, offset=16000 * number, **rest, **clip) for number, clip in enumerate(clips)
    )
    return raw_data


def settle(raw_data: RawData) -> None:
    """Say that its import has succeeded."""
    from django.utils import timezone

    RawDataImport.objects.create(
        workspace=raw_data.workspace, raw_data=raw_data, source=Source.PATH, state=State.SUCCEEDED,
        finished_at=timezone.now(),
    )  # fmt: skip
