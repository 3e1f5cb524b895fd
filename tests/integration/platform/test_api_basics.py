"""What all REST resources share: tokens, problems, idempotency, the schema."""

from __future__ import annotations

import datetime

import pytest
from django.test import Client
from django.utils import timezone
from openapi_spec_validator import validate
from rest_framework.test import APIClient

from edgewise.accounts.models import ApiToken, User, Workspace
from edgewise.accounts.services import create_token, digest

pytestmark = pytest.mark.django_db


def test_the_schema_is_valid_openapi(script: APIClient) -> None:
    schema = script.get("/api/v1/schema", HTTP_ACCEPT="application/vnd.oai.openapi+json").json()
    validate(schema)
    assert schema["openapi"].startswith("3.1")


def test_without_a_token_the_answer_is_a_problem() -> None:
    answer = APIClient().get("/api/v1/me")
    assert answer.status_code == 401
    assert answer["Content-Type"] == "application/problem+json"
    assert answer["WWW-Authenticate"] == "Bearer"
    assert answer.json()["status"] == 401


def test_a_token_is_shown_once_and_stored_hashed(script: APIClient) -> None:
    answer = script.post("/api/v1/tokens", {"name": "ci", "scope": "read"})
    assert answer.status_code == 201
    secret = answer.json()["token"]
    stored = ApiToken.objects.get(name="ci")
    assert stored.digest == digest(secret)
    assert secret not in str(script.get("/api/v1/tokens").json())


def test_a_token_that_may_read_may_not_write(alice: User, workspace: Workspace) -> None:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {create_token(alice, workspace, 'reader', 'read')[1]}")
    assert client.get("/api/v1/me").json()["user"]["email"] == alice.email
    answer = client.post("/api/v1/projects", {"name": "Directions"})
    assert answer.status_code == 403
    assert "may only read" in answer.json()["detail"]


def test_an_expired_token_is_refused(alice: User, workspace: Workspace) -> None:
    token, secret = create_token(alice, workspace, "old")
    ApiToken.objects.filter(pk=token.pk).update(expires_at=timezone.now() - datetime.timedelta(seconds=1))
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")
    assert client.get("/api/v1/me").status_code == 401


def test_a_browser_needs_its_csrf_token(alice: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)
    assert client.get("/api/v1/me").status_code == 200
    answer = client.post("/api/v1/projects", {"name": "Directions"}, content_type="application/json")
    assert answer.status_code == 403


def test_the_same_key_starts_work_once(script: APIClient) -> None:
    send = {"data": {"name": "Directions"}, "HTTP_IDEMPOTENCY_KEY": "7c9e6679"}
    first, second = script.post("/api/v1/projects", **send), script.post("/api/v1/projects", **send)
    assert first.status_code == second.status_code == 201
    assert first.json()["id"] == second.json()["id"]
    assert second["Idempotency-Replayed"] == "true"


def test_an_unknown_address_is_a_problem_too(script: APIClient) -> None:
    answer = script.get("/api/v1/runs/01890000-0000-7000-8000-000000000000")
    assert answer.status_code == 404
    assert answer["Content-Type"] == "application/problem+json"


def test_a_wrong_value_names_its_field(script: APIClient) -> None:
    answer = script.post("/api/v1/tokens", {"name": "x", "scope": "everything"})
    assert answer.status_code == 400
    assert [item["field"] for item in answer.json()["errors"]] == ["scope"]
