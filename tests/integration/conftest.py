"""What the integration tests share: settings of their own, people, and their clients."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.test import Client
from pytest_django import Settings
from rest_framework.test import APIClient

from edgewise.accounts.models import User, Workspace
from edgewise.accounts.services import create_token, give_personal_workspace
from edgewise.jobs import services as jobs
from edgewise.jobs.models import Outbox

PASSWORD = "correct horse battery"


@pytest.fixture(autouse=True)
def plain_settings(settings: Settings) -> None:
    """Leave out what costs time and proves nothing: slow hashes of passwords, hashed names of static files."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    settings.STORAGES = {**settings.STORAGES, "staticfiles": plain}
    # WhiteNoise warns of a folder that is not there.
    Path(settings.STATIC_ROOT).mkdir(exist_ok=True)


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, settings: Settings, plain_settings: None) -> Path:
    """Keep all files in a folder of the test."""
    home = tmp_path_factory.mktemp("home")
    location = {"OPTIONS": {"location": str(home / "store")}}
    settings.STORAGES = {**settings.STORAGES, "default": settings.STORAGES["default"] | location}
    settings.HOME, settings.CACHE_FOLDER, settings.UPLOAD_FOLDER = home, home / "cache", home / "uploads"
    settings.FILE_UPLOAD_TEMP_DIR = home / "tmp"
    settings.FILE_UPLOAD_TEMP_DIR.mkdir()
    return home


@pytest.fixture
def store(home: Path) -> Path:
    """The folder of the store."""
    return home / "store"


@pytest.fixture(autouse=True)
def sent(monkeypatch: pytest.MonkeyPatch) -> list[Outbox]:
    """Wake-ups that were sent; the queue itself stays empty."""
    entries: list[Outbox] = []
    monkeypatch.setattr(jobs, "send", entries.append)
    return entries


@pytest.fixture
def alice(db: None) -> User:
    return User.objects.create_user("alice@example.org", PASSWORD)


@pytest.fixture
def bob(db: None) -> User:
    return User.objects.create_user("bob@example.org", PASSWORD)


@pytest.fixture
def operator(db: None) -> User:
    return User.objects.create_superuser("operator@example.org", PASSWORD)


@pytest.fixture
def workspace(alice: User) -> Workspace:
    return give_personal_workspace(alice)


@pytest.fixture
def browser(alice: User) -> Client:
    """Alice's browser, signed in."""
    return browser_of(alice)


def browser_of(user: User) -> Client:
    browser = Client(headers={"host": "localhost"})
    browser.force_login(user)
    return browser


@pytest.fixture
def script(alice: User, workspace: Workspace) -> APIClient:
    """A client with a token of Alice's that may write."""
    return client_of(alice)


def client_of(user: User) -> APIClient:
    client = APIClient()
    secret = create_token(user, give_personal_workspace(user), "script")[1]
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")
    return client
