"""People, archives, and imports that are done here, as a worker's child does them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.files import File
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings
from rest_framework.test import APIClient

from datasets_app import services
from datasets_app.models import Clip, ClipKind, Origin, RawData, RawDataImport, Source, Split
from edgewise.accounts.models import User, Workspace
from edgewise.accounts.services import create_token, give_personal_workspace
from edgewise.jobs import services as jobs
from edgewise.jobs.models import Outbox, State
from tests.unit.audio.recordings import noise, plain_wav, tar, wav
from workers.attempt import Attempt
from workers.engine.errors import EngineError
from workers.jobs import import_raw_data

WORDS = ("up", "down", "left")
SPEAKERS = tuple(f"{number:08x}" for number in range(30))


@pytest.fixture(autouse=True)
def store(tmp_path: Path, settings: Settings) -> Path:
    """Keep files in folders of the test."""
    location = {"OPTIONS": {"location": str(tmp_path / "store")}}
    settings.STORAGES = {**settings.STORAGES, "default": settings.STORAGES["default"] | location}
    settings.FILE_UPLOAD_TEMP_DIR, settings.CACHE_FOLDER = tmp_path / "tmp", tmp_path / "cache"
    return tmp_path / "store"


@pytest.fixture(autouse=True)
def sent(monkeypatch: pytest.MonkeyPatch) -> list[Outbox]:
    """Wake-ups that were sent; the queue itself stays empty."""
    entries: list[Outbox] = []
    monkeypatch.setattr(jobs, "send", entries.append)
    return entries


@pytest.fixture
def alice(db: None) -> User:
    return User.objects.create_user("alice@example.org", "correct horse battery")


@pytest.fixture
def bob(db: None) -> User:
    return User.objects.create_user("bob@example.org", "correct horse battery")


@pytest.fixture
def operator(db: None) -> User:
    return User.objects.create_superuser("operator@example.org", "correct horse battery")


@pytest.fixture
def workspace(alice: User) -> Workspace:
    return give_personal_workspace(alice)


def client_of(user: User) -> APIClient:
    client = APIClient()
    secret = create_token(user, give_personal_workspace(user), "script")[1]
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")
    return client


@pytest.fixture
def script(alice: User, workspace: Workspace) -> APIClient:
    """A client with a token that may write."""
    return client_of(alice)


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
