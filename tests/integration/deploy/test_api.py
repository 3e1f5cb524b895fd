"""Artifacts by REST."""

from __future__ import annotations

import hashlib
import io
import zipfile

import pytest
from rest_framework.test import APIClient

from deploy_app import formats
from deploy_app.models import Artifact
from edgewise.accounts.models import User
from edgewise.jobs.models import State
from runs_app.models import Run
from tests.integration.conftest import client_of
from tests.integration.deploy.conftest import Build

pytestmark = pytest.mark.django_db


def test_formats_are_listed(script: APIClient) -> None:
    rows = script.get("/api/v1/formats").json()
    names = ["binary", "savedmodel", "tflite", "onnx", "c", "coral", "disco", "nordic"]
    assert [row["name"] for row in rows] == names
    assert all(row["title"] and row["description"] for row in rows)
    assert {row["name"]: [option["name"] for option in row["options"]] for row in rows if row["options"]} == {
        "binary": ["precision"], "tflite": ["precision"], "c": ["precision", "target"], "disco": ["precision"],
        "nordic": ["precision"],
    }  # fmt: skip


def test_what_cannot_be_built_here_is_told_with_the_reason(
    run: Run, script: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = (formats.CROSS_COMPILER, formats.EDGE_TPU_COMPILER)
    monkeypatch.setattr(formats.Need, "is_met", lambda need: need not in missing)
    reasons = {row["name"]: row["why_not_here"] for row in script.get("/api/v1/formats").json()}
    assert {name for name, reason in reasons.items() if reason} == {"coral", "disco", "nordic"}
    assert "the extra “targets”" in reasons["disco"]
    answer = script.post(f"/api/v1/runs/{run.pk}/artifacts", {"format": "disco"})
    assert answer.status_code == 409
    assert answer["Content-Type"] == "application/problem+json"
    assert "Binary for STM32F746G Discovery needs the compiler" in answer.json()["detail"]


def test_options_are_checked_and_part_of_the_input(run: Run, script: APIClient) -> None:
    address = f"/api/v1/runs/{run.pk}/artifacts"
    plain = script.post(address, {"format": "c"}, format="json").json()
    assert plain["options"] == {"precision": "float32", "target": "sources"}
    chosen = script.post(address, {"format": "c", "options": {"precision": "int8"}}, format="json").json()
    assert chosen["id"] != plain["id"]
    wrong = script.post(address, {"format": "c", "options": {"target": "toaster"}}, format="json")
    assert wrong.status_code == 400
    assert [error["field"] for error in wrong.json()["errors"]] == ["options.target"]


def test_an_artifact_is_asked_for_once_and_found_again(run: Run, script: APIClient) -> None:
    address = f"/api/v1/runs/{run.pk}/artifacts"
    first, second = script.post(address, {"format": "binary"}), script.post(address, {"format": "binary"})
    assert (first.status_code, second.status_code) == (201, 200)
    made = first.json()
    assert made["id"] == second.json()["id"]
    assert made["job"]["state"] == "queued"
    assert made["download"] is None
    assert script.get(address).json()["results"] == [made]
    assert script.get(f"/api/v1/artifacts/{made['id']}").json() == made
    assert script.get("/api/v1/artifacts?format=binary").json()["results"] == [made]
    assert script.get("/api/v1/artifacts?format=tflite").json()["results"] == []


def test_what_is_wrong_is_named(run: Run, script: APIClient) -> None:
    answer = script.post(f"/api/v1/runs/{run.pk}/artifacts", {"format": "coffee"})
    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == ["format"]
    Run.objects.filter(pk=run.pk).update(weights_sha256="")
    answer = script.post(f"/api/v1/runs/{run.pk}/artifacts", {"format": "binary"})
    assert answer.status_code == 409
    assert "before it had any weights" in answer.json()["detail"]


def test_what_was_proved_is_read(run: Run, script: APIClient, build: Build) -> None:
    made = script.post(f"/api/v1/runs/{run.pk}/artifacts", {"format": "tflite"}).json()
    build(Artifact.objects.get(pk=made["id"]))
    report = script.get(f"/api/v1/artifacts/{made['id']}").json()["report"]
    assert report["schema_version"] == 1
    assert [stage["status"] for stage in report["stages"]] == ["holds", "holds"]
    assert {estimate["board"] for estimate in report["estimates"]} >= {"nRF52840, 64 MHz", "Coral USB Accelerator"}
    waiting = script.post(f"/api/v1/runs/{run.pk}/artifacts", {"format": "savedmodel"}).json()
    assert waiting["report"] is None


def test_the_file_is_downloaded_whole(stored: Artifact, script: APIClient) -> None:
    address = script.get(f"/api/v1/artifacts/{stored.pk}").json()["download"]
    answer = script.get(address)
    assert answer.status_code == 200
    assert answer["Content-Type"] == "application/zip"
    assert answer["Content-Disposition"] == 'attachment; filename="artifact.zip"'
    assert answer["ETag"] == f'"{hashlib.sha256(answer.content).hexdigest()}"' == f'"{stored.sha256}"'
    assert zipfile.ZipFile(io.BytesIO(answer.content)).testzip() is None
    assert script.get(address, HTTP_ACCEPT="application/zip").content == answer.content


def test_a_download_goes_on_where_it_stopped(stored: Artifact, script: APIClient) -> None:
    address = f"/api/v1/artifacts/{stored.pk}/download"
    whole = script.get(address).content
    rest = script.get(address, HTTP_RANGE="bytes=100-", HTTP_IF_RANGE=f'"{stored.sha256}"')
    assert rest.status_code == 206
    assert rest["Content-Range"] == f"bytes 100-{len(whole) - 1}/{len(whole)}"
    assert rest["ETag"] == f'"{stored.sha256}"'
    assert rest.content == whole[100:]
    assert script.get(address, HTTP_RANGE="bytes=0-9", HTTP_IF_RANGE='"other"').content == whole
    assert script.get(address, HTTP_RANGE=f"bytes={len(whole)}-").status_code == 416


def test_what_the_browser_has_is_not_sent_again(stored: Artifact, script: APIClient) -> None:
    answer = script.get(f"/api/v1/artifacts/{stored.pk}/download", HTTP_IF_NONE_MATCH=f'"{stored.sha256}"')
    assert answer.status_code == 304
    assert answer.content == b""


def test_what_is_not_built_yet_is_not_downloaded(run: Run, script: APIClient) -> None:
    made = script.post(f"/api/v1/runs/{run.pk}/artifacts", {"format": "binary"}).json()
    answer = script.get(f"/api/v1/artifacts/{made['id']}/download")
    assert answer.status_code == 409
    assert answer["Content-Type"] == "application/problem+json"


def test_a_misspelled_field_is_refused(run: Run, script: APIClient) -> None:
    answer = script.post(f"/api/v1/runs/{run.pk}/artifacts", {"format": "binary", "option": {"precision": "int8"}})
    assert answer.status_code == 400
    assert "There is no field “option”; there are format, options" in str(answer.json())
    assert not run.artifacts.exists()


def test_an_artifact_is_cancelled_and_deleted(run: Run, script: APIClient) -> None:
    made = script.post(f"/api/v1/runs/{run.pk}/artifacts", {"format": "binary"}).json()
    address = f"/api/v1/artifacts/{made['id']}"
    assert script.delete(address).status_code == 409
    assert script.post(f"{address}/cancel").json()["job"]["state"] == State.CANCELLED
    assert script.post(f"{address}/cancel").status_code == 409
    assert "its job is cancelled" in script.get(f"{address}/download").json()["detail"]
    assert script.delete(address).status_code == 204
    assert script.get(address).status_code == 404


def test_another_workspaces_artifact_is_unknown(stored: Artifact, run: Run, bob: User) -> None:
    stranger = client_of(bob)
    unknown = "01890000-0000-7000-8000-000000000000"
    for theirs, nobodys in (
        (f"/api/v1/artifacts/{stored.pk}", f"/api/v1/artifacts/{unknown}"),
        (f"/api/v1/artifacts/{stored.pk}/download", f"/api/v1/artifacts/{unknown}/download"),
        (f"/api/v1/runs/{run.pk}/artifacts", f"/api/v1/runs/{unknown}/artifacts"),
    ):
        answers = stranger.get(theirs), stranger.get(nobodys)
        assert [answer.status_code for answer in answers] == [404, 404]
        assert answers[0].json() == answers[1].json()
    assert stranger.post(f"/api/v1/runs/{run.pk}/artifacts", {"format": "binary"}).status_code == 404
    assert stranger.get("/api/v1/artifacts").json()["results"] == []
