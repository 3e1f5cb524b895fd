"""Single files of an artifact, read out of its archive."""

from __future__ import annotations

import pytest
from rest_framework.test import APIClient

from deploy_app.models import Artifact
from edgewise.accounts.models import User
from edgewise.jobs.models import State
from tests.integration.conftest import client_of
from tests.integration.deploy.conftest import WASM

pytestmark = pytest.mark.django_db


@pytest.fixture
def files(stored: Artifact) -> str:
    return f"/api/v1/artifacts/{stored.pk}/files"


def test_a_file_comes_with_its_type_and_is_kept(files: str, script: APIClient) -> None:
    answer = script.get(f"{files}/lib/wasm/edgewise.wasm")
    assert answer.status_code == 200
    assert answer.content == WASM
    assert answer["Content-Type"] == "application/wasm"
    assert answer["Cache-Control"] == "private, max-age=31536000, immutable"
    again = script.get(f"{files}/lib/wasm/edgewise.wasm", HTTP_IF_NONE_MATCH=answer["ETag"])
    assert (again.status_code, again.content) == (304, b"")


def test_browsers_learn_what_a_file_is(files: str, script: APIClient) -> None:
    types = {"edgewise_runner.js": "text/javascript", "golden.npz": "application/octet-stream"}
    for name, content_type in types.items():
        assert script.get(f"{files}/{name}", HTTP_ACCEPT=content_type)["Content-Type"] == content_type


def test_a_part_of_a_file_is_served(files: str, script: APIClient) -> None:
    answer = script.get(f"{files}/lib/wasm/edgewise.wasm", HTTP_RANGE="bytes=4-7")
    assert (answer.status_code, answer.content) == (206, WASM[4:8])
    assert answer["Content-Range"] == f"bytes 4-7/{len(WASM)}"


def test_what_the_archive_does_not_hold_does_not_exist(files: str, script: APIClient) -> None:
    outside = ["../../../etc/passwd", "%2e%2e/%2e%2e/etc/passwd", "/etc/passwd", "lib/../golden.npz"]
    for name in ["unknown.txt", "lib", "lib/", *outside]:
        answer = script.get(f"{files}/{name}", HTTP_ACCEPT="*/*")
        assert answer.status_code == 404, name
        assert answer["Content-Type"] == "application/problem+json"


def test_another_workspaces_file_is_unknown(files: str, bob: User) -> None:
    assert client_of(bob).get(f"{files}/lib/wasm/edgewise.wasm").status_code == 404


def test_what_is_not_built_yet_has_no_files(files: str, stored: Artifact, script: APIClient) -> None:
    Artifact.objects.filter(pk=stored.pk).update(state=State.QUEUED, finished_at=None)
    assert script.get(f"{files}/lib/wasm/edgewise.wasm").status_code == 409
