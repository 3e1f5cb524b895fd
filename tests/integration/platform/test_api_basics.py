"""What all REST resources share: tokens, problems, idempotency, the schema."""

from __future__ import annotations

import datetime
import json
from types import SimpleNamespace
from typing import Any

import pytest
import redis
from django.test import Client
from django.utils import timezone
from openapi_spec_validator import validate
from rest_framework.test import APIClient

from edgewise import health
from edgewise.accounts.models import ApiToken, Membership, Role, User, Workspace
from edgewise.accounts.services import create_token, digest
from edgewise.api import idempotency
from edgewise.errors import NotFound
from runs_app import services as projects

pytestmark = pytest.mark.django_db


def test_the_schema_is_valid_openapi(script: APIClient) -> None:
    schema = script.get("/api/v1/schema", HTTP_ACCEPT="application/vnd.oai.openapi+json").json()
    validate(schema)
    assert schema["openapi"].startswith("3.1")
    assert {"/api/v1/events", "/api/v1/runs/{id}/events"} <= set(schema["paths"])
    operations = [operation for path in schema["paths"].values() for operation in path.values()]
    assert all("application/problem+json" in operation["responses"]["4XX"]["content"] for operation in operations)
    named = {name for operation in operations for scheme in operation.get("security", []) for name in scheme}
    assert named <= set(schema["components"]["securitySchemes"])
    new_run = schema["paths"]["/api/v1/runs"]["post"]
    assert "Idempotency-Key" in [parameter["name"] for parameter in new_run["parameters"]]


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


def test_a_viewer_reads_and_changes_nothing(alice: User, workspace: Workspace, script: APIClient) -> None:
    Membership.objects.filter(user=alice).update(role=Role.VIEWER)
    assert script.get("/api/v1/projects").status_code == 200
    answer = script.post("/api/v1/projects", {"name": "Directions"})
    assert answer.status_code == 403
    assert "that of a viewer" in answer.json()["detail"]
    browser = Client()
    browser.force_login(alice)
    assert browser.get("/account/").status_code == 200
    page = browser.post("/runs/projects/new", {"name": "Directions"})
    assert page.status_code == 403
    assert "that of a viewer" in page.content.decode()
    assert script.get("/api/v1/projects").json()["results"] == []


def test_the_token_of_who_has_left_the_workspace_opens_nothing(alice: User, script: APIClient) -> None:
    Membership.objects.filter(user=alice).delete()
    assert script.get("/api/v1/projects").status_code == 401


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


def test_a_key_belongs_to_one_request(script: APIClient) -> None:
    assert script.post("/api/v1/projects", {"name": "Up"}, HTTP_IDEMPOTENCY_KEY="7c9e6679").status_code == 201
    answer = script.post("/api/v1/projects", {"name": "Down"}, HTTP_IDEMPOTENCY_KEY="7c9e6679")
    assert answer.status_code == 422
    assert "with another request" in answer.json()["detail"]
    assert [project["name"] for project in script.get("/api/v1/projects").json()["results"]] == ["Up"]


def test_without_redis_a_request_with_a_key_is_answered(script: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    nobody_listens = redis.Redis(port=1)
    monkeypatch.setattr(idempotency, "_connection", lambda: nobody_listens)
    assert script.post("/api/v1/projects", {"name": "Up"}, HTTP_IDEMPOTENCY_KEY="7c9e6679").status_code == 201


def test_a_process_that_was_killed_leaves_no_key_for_long(script: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    left = []
    monkeypatch.setattr(
        idempotency, "_asked", lambda request: left.append(idempotency._name(request, "7c9e6679")) or "hash"
    )

    def killed(**values: Any) -> None:
        left.append(idempotency._connection().ttl(left[0]))
        raise NotFound("project")

    monkeypatch.setattr(projects, "create_project", killed)
    script.post("/api/v1/projects", {"name": "Up"}, HTTP_IDEMPOTENCY_KEY="7c9e6679")
    assert 0 < left[1] <= idempotency.LONGEST_REQUEST_SECONDS


@pytest.mark.parametrize(("body", "status"), [("[" * 100_000, 400), (" " * (2**20 + 1), 413)])
def test_bodies_that_are_too_much_are_refused(script: APIClient, body: str, status: int) -> None:
    answer = script.generic("POST", "/api/v1/projects", body, content_type="application/json")
    assert answer.status_code == status
    assert json.loads(answer.content)["detail"].startswith("The request is")


def test_a_store_that_fails_by_any_error_is_told(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    class BotoCoreError(Exception):
        """As libraries raise them: no error of the system, and it may say nothing."""

    def save(*args: Any) -> str:
        raise BotoCoreError

    monkeypatch.setattr(health, "default_storage", SimpleNamespace(save=save))
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["checks"]["store"] == {"ok": False, "problem": "BotoCoreError"}


NOBODY = "01890000-0000-7000-8000-000000000000"


@pytest.mark.parametrize(
    ("address", "detail"),
    [
        (f"runs/{NOBODY}", "There is no such run in your workspace."),
        (f"runs/{NOBODY}/metrics", "There is no such run in your workspace."),
        (f"runs/{NOBODY}/events", "There is no such run in your workspace."),
        (f"datasets/{NOBODY}", "There is no such dataset in your workspace."),
        (f"raw-data/{NOBODY}", "There is no such raw data in your workspace."),
        (f"artifacts/{NOBODY}", "There is no such artifact in your workspace."),
        ("artifacts/xyz", "There is no such artifact in your workspace."),
        ("nothing", "The API has no address /api/v1/nothing."),
    ],
)
def test_what_is_not_there_is_one_kind_of_problem(script: APIClient, address: str, detail: str) -> None:
    answer = script.get(f"/api/v1/{address}")
    assert answer.status_code == 404
    assert answer["Content-Type"] == "application/problem+json"
    problem = json.loads(answer.content)
    assert (problem["status"], problem["detail"]) == (404, detail)
    assert problem["remedy"]


def test_an_edit_does_not_undo_another(script: APIClient) -> None:
    address = f"/api/v1/projects/{script.post('/api/v1/projects', {'name': 'Up'}).json()['id']}"
    read = script.get(address)["ETag"]
    edited = script.patch(address, {"name": "Left"}, HTTP_IF_MATCH=read)
    assert edited.status_code == 200
    answer = script.patch(address, {"name": "Right"}, HTTP_IF_MATCH=read)
    assert answer.status_code == 412
    assert answer.json()["detail"] == "“Left” was changed since you read it."
    assert script.get(address).json()["name"] == "Left"
    assert script.get(address)["ETag"] == edited["ETag"]


def test_a_wrong_value_names_its_field(script: APIClient) -> None:
    answer = script.post("/api/v1/tokens", {"name": "x", "scope": "everything"})
    assert answer.status_code == 400
    assert [item["field"] for item in answer.json()["errors"]] == ["scope"]
