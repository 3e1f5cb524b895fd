"""A dataset to train on, without its audio: these tests never train."""

from __future__ import annotations

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from datasets_app.models import Dataset, Origin, RawData, RawDataImport, Source
from edgewise.accounts.models import User, Workspace
from edgewise.accounts.services import create_token, give_personal_workspace
from edgewise.jobs import services as jobs
from edgewise.jobs.models import State
from edgewise.spec.detection import SMOOTHING_MS, THRESHOLDS
from runs_app.models import Detection, Project, Run

WORDS = ["up", "down", "left"]


def make_dataset(user: User, name: str = "Directions", keywords: list[str] | None = None) -> Dataset:
    workspace = give_personal_workspace(user)
    counts = {word: {"train": 80, "validation": 10, "test": 10} for word in [*WORDS, "house"]}
    raw_data = RawData.objects.create(
        workspace=workspace, created_by=user, name=f"words of {name}", origin=Origin.UPLOADED, label_counts=counts
    )
    RawDataImport.objects.create(
        workspace=workspace, raw_data=raw_data, source=Source.PATH, state=State.SUCCEEDED, finished_at=timezone.now()
    )
    from datasets_app import services

    return services.create_dataset(
        workspace=workspace, user=user, raw_data=raw_data, name=name, parameters={"keywords": keywords or WORDS}
    )


@pytest.fixture(autouse=True)
def unsent(monkeypatch: pytest.MonkeyPatch) -> None:
    """No worker listens: wake-ups stay in the outbox."""
    monkeypatch.setattr(jobs, "send", lambda entry: None)


@pytest.fixture
def alice(db: None) -> User:
    return User.objects.create_user("alice@example.org", "correct horse battery")


@pytest.fixture
def bob(db: None) -> User:
    return User.objects.create_user("bob@example.org", "correct horse battery")


@pytest.fixture
def workspace(alice: User) -> Workspace:
    return give_personal_workspace(alice)


@pytest.fixture
def dataset(alice: User) -> Dataset:
    return make_dataset(alice)


@pytest.fixture
def project(alice: User, workspace: Workspace) -> Project:
    return Project.objects.create(workspace=workspace, created_by=alice, name="Directions")


@pytest.fixture
def script(alice: User, workspace: Workspace) -> APIClient:
    return client_of(alice)


def client_of(user: User) -> APIClient:
    client = APIClient()
    secret = create_token(user, give_personal_workspace(user), "script")[1]
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")
    return client


@pytest.fixture
def measured(trained: Run) -> Run:
    """A run whose detections were measured: two hours; the higher the threshold, the more is missed."""
    curve = {
        "false_accepts": [len(THRESHOLDS) - place for place in range(len(THRESHOLDS))],
        "most_per_hour": [1.0 + len(THRESHOLDS) - place for place in range(len(THRESHOLDS))],
        "misses": [[place, 0, 0] for place in range(len(THRESHOLDS))],
    }
    Detection.objects.create(
        run=trained, seconds=7200, keyword_clips=30, other_clips=10, refractory_ms=1000, keywords=WORDS,
        spoken=[100, 100, 0], curves=[{"smoothing_ms": window, **curve} for window in SMOOTHING_MS],
        suggestion={"threshold": 0.25, "smoothing_ms": 100},
    )  # fmt: skip
    Run.objects.filter(pk=trained.pk).update(threshold=0.25, smoothing_ms=100)
    trained.refresh_from_db()
    return trained


@pytest.fixture
def trained(alice: User, workspace: Workspace, project: Project, dataset: Dataset) -> Run:
    """A run that has ended with weights."""
    from runs_app import services

    run = services.create_run(
        workspace=workspace, user=alice, project=project, name="test 1", dataset=dataset, parameters={"steps": 100}
    )
    Run.objects.filter(pk=run.pk).update(
        state=State.SUCCEEDED, finished_at=timezone.now(), progress_done=100, weights_sha256="0" * 64, best_accuracy=0.9
    )
    run.refresh_from_db()
    return run
