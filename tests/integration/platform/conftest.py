"""People and their keys."""

from __future__ import annotations

import pytest
from rest_framework.test import APIClient

from edgewise.accounts.models import User, Workspace
from edgewise.accounts.services import create_token, give_personal_workspace


@pytest.fixture
def alice(db: None) -> User:
    return User.objects.create_user("alice@example.org", "correct horse battery")


@pytest.fixture
def workspace(alice: User) -> Workspace:
    return give_personal_workspace(alice)


@pytest.fixture
def script(alice: User, workspace: Workspace) -> APIClient:
    """A client with a token that may write."""
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {create_token(alice, workspace, 'script')[1]}")
    return client
