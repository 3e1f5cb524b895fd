"""Runs by REST: curves, results, live events, and the walls between workspaces."""

from __future__ import annotations

import asyncio
import csv
import io
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connection
from django.test import AsyncClient
from rest_framework.test import APIClient

from datasets_app.models import Clip, Dataset
from edgewise.accounts.models import User
from edgewise.accounts.services import create_token, give_personal_workspace
from runs_app import queries
from runs_app.live import _past
from runs_app.models import Evaluation, Metric, Prediction, Project, Run, Series
from tests.integration.conftest import client_of

pytestmark = pytest.mark.django_db


def add_curve(run: Run, steps: int, first: int = 1) -> list[Metric]:
    return Metric.objects.bulk_create(
        Metric(run=run, series=Series.TRAINING, step=step, loss=1 / step, accuracy=0.5)
        for step in range(first, first + steps)
    )


def test_a_run_is_made_and_read(script: APIClient, project: Project, dataset: Dataset) -> None:
    body = {"project": project.pk, "dataset": dataset.pk, "name": "test 1", "parameters": {"steps": 50}}
    made = script.post("/api/v1/runs", body)
    assert made.status_code == 201
    read = script.get(f"/api/v1/runs/{made.json()['id']}").json()
    assert read["job"]["state"] == "queued"
    assert read["parameters"]["steps"] == 50
    found = script.get(f"/api/v1/runs?project={project.pk}&state=queued&search=test").json()
    assert [run["id"] for run in found["results"]] == [made.json()["id"]]


def test_mistakes_name_their_fields(script: APIClient, project: Project, dataset: Dataset) -> None:
    body = {"project": project.pk, "dataset": dataset.pk, "name": "x", "parameters": {"steps": 0, "network": "huge"}}
    answer = script.post("/api/v1/runs", body)
    assert answer.status_code == 400
    assert {item["field"] for item in answer.json()["errors"]} == {"steps", "network"}


@pytest.mark.parametrize("what", ["abc/changes", "{run}/metrics?since={many}", "{run}/predictions?label={many}"])
def test_addresses_that_make_no_sense_are_told(script: APIClient, trained: Run, what: str) -> None:
    answer = script.get(f"/api/v1/runs/{what.format(run=trained.pk, many='9' * 5000)}")
    assert answer.status_code in (400, 404)
    assert answer.json()["detail"]


@pytest.mark.parametrize("what", ["", "/metrics", "/results", "/predictions", "/log", "/events"])
def test_a_strangers_run_is_not_there(trained: Run, bob: User, what: str) -> None:
    assert client_of(bob).get(f"/api/v1/runs/{trained.pk}{what}").status_code == 404


@pytest.mark.parametrize("action", ["cancel", "resume"])
def test_a_stranger_changes_nothing(trained: Run, bob: User, action: str) -> None:
    assert client_of(bob).post(f"/api/v1/runs/{trained.pk}/{action}").status_code == 404
    assert client_of(bob).delete(f"/api/v1/runs/{trained.pk}").status_code == 404


def test_a_run_on_a_strangers_dataset_is_refused(bob: User, dataset: Dataset, alice: User) -> None:
    script = client_of(bob)
    project = script.post("/api/v1/projects", {"name": "mine"}).json()
    answer = script.post("/api/v1/runs", {"project": project["id"], "dataset": dataset.pk, "name": "x"})
    assert answer.status_code == 404
    assert "dataset" in answer.json()["detail"]


def test_cancel_and_resume(script: APIClient, project: Project, dataset: Dataset) -> None:
    run = script.post("/api/v1/runs", {"project": project.pk, "dataset": dataset.pk, "name": "x"}).json()["id"]
    assert script.post(f"/api/v1/runs/{run}/cancel").json()["job"]["state"] == "cancelled"
    again = script.post(f"/api/v1/runs/{run}/cancel")
    assert again.status_code == 409
    assert "nothing to cancel" in again.json()["detail"]
    assert script.post(f"/api/v1/runs/{run}/resume").json()["job"]["state"] == "queued"


def test_the_curve_as_json_and_csv(script: APIClient, trained: Run) -> None:
    points = add_curve(trained, 5)
    later = script.get(f"/api/v1/runs/{trained.pk}/metrics?since={points[2].pk}").json()
    assert [point["step"] for point in later] == [4, 5]
    table = script.get(f"/api/v1/runs/{trained.pk}/metrics?format=csv")
    rows = list(csv.DictReader(io.StringIO(table.getvalue().decode())))
    assert [row["step"] for row in rows] == ["1", "2", "3", "4", "5"]


def test_runs_are_ordered_by_query(script: APIClient, project: Project, dataset: Dataset) -> None:
    for name in ("b", "c", "a"):
        script.post("/api/v1/runs", {"project": project.pk, "dataset": dataset.pk, "name": name})
    found = {
        order: [run["name"] for run in script.get(f"/api/v1/runs?ordering={order}").json()["results"]]
        for order in ("", "name", "-name", "created_at")
    }
    assert found == {"": list("acb"), "name": list("abc"), "-name": list("cba"), "created_at": list("bca")}


def test_a_filter_does_not_tell_which_ids_there_are(trained: Run, bob: User) -> None:
    stranger = client_of(bob)
    for project in (trained.project_id, trained.pk):
        assert stranger.get(f"/api/v1/runs?project={project}").json()["results"] == []
    for run in (trained.pk, trained.project_id):
        assert stranger.get(f"/api/v1/artifacts?run={run}").json()["results"] == []


def test_a_list_goes_on_by_its_cursor(script: APIClient, project: Project, dataset: Dataset) -> None:
    for name in "abc":
        script.post("/api/v1/runs", {"project": project.pk, "dataset": dataset.pk, "name": name})
    first = script.get("/api/v1/runs?ordering=name&limit=2").json()
    second = script.get(first["next"]).json()
    assert [run["name"] for run in [*first["results"], *second["results"]]] == ["a", "b", "c"]


def test_a_run_that_is_sent_twice_is_made_once(script: APIClient, project: Project, dataset: Dataset) -> None:
    body = {"project": project.pk, "dataset": dataset.pk, "name": "once"}
    key = str(project.pk)
    answers = [script.post("/api/v1/runs", body, headers={"Idempotency-Key": key}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert Run.objects.filter(name="once").count() == 1


def test_a_full_queue_asks_to_try_again(script: APIClient, project: Project, dataset: Dataset, settings: Any) -> None:
    settings.JOB_QUEUE_LIMIT = 1
    answers = [
        script.post("/api/v1/runs", {"project": project.pk, "dataset": dataset.pk, "name": name}) for name in "ab"
    ]
    assert [answer.status_code for answer in answers] == [201, 429]
    assert answers[1]["Content-Type"] == "application/problem+json"
    assert "queue is full" in answers[1].json()["detail"]


def test_what_is_needed_is_not_deleted(script: APIClient, trained: Run, project: Project, dataset: Dataset) -> None:
    body = {"project": project.pk, "dataset": dataset.pk, "name": "heir", "initial_weights": trained.pk}
    assert script.post("/api/v1/runs", body).status_code == 201
    answer = script.delete(f"/api/v1/runs/{trained.pk}")
    assert answer.status_code == 409
    assert answer.json()["needed_by"] == ["run “heir”"]


def test_results_wait_for_the_end(script: APIClient, trained: Run) -> None:
    early = script.get(f"/api/v1/runs/{trained.pk}/results")
    assert (early.status_code, early.json()["detail"]) == (404, "“test 1” has no results yet.")
    Evaluation.objects.create(
        run=trained, clips=3, accuracy=2 / 3, balanced_accuracy=0.5, loss=1.0,
        report={"labels": [{"label": "up", "precision": 0.9, "recall": 0.8, "f1": 0.85, "support": 10}]},
        confusion=[[1, 0, 0, 0, 0], [0, 1, 1, 0, 0], *[[0] * 5] * 3],
    )  # fmt: skip
    assert script.get(f"/api/v1/runs/{trained.pk}/results").json()["labels"] == trained.labels
    table = script.get(f"/api/v1/runs/{trained.pk}/results?format=csv").getvalue().decode().splitlines()
    assert table[2] == "<unknown>,0,1,1,0,0"
    answer = script.get(f"/api/v1/runs/{trained.pk}/results?format=csv&table=labels")
    by_label = answer.getvalue().decode().splitlines()
    assert by_label == ["label,precision,recall,f1,support", "up,0.9,0.8,0.85,10"]


def test_the_clips_of_a_mistake_are_the_surest(
    trained: Run, dataset: Dataset, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "CLIPS_SHOWN", 2)
    where = {"raw_data": dataset.raw_data, "label": "up", "sample_rate": 16000, "peak_dbfs": -15, "rms_dbfs": -18}
    clips = Clip.objects.bulk_create(
        Clip(name=f"{n}.wav", split="test", offset=n, length=1, **where) for n in range(3)
    )  # fmt: skip
    Prediction.objects.bulk_create(
        Prediction(run=trained, clip=clip, offset=0, length=1, label=2, predicted=3, scores=[0, 0, 0, sure, 0])
        for clip, sure in zip(clips, (0.5, 0.9, 0.7), strict=True)
    )
    assert [row.scores[3] for row in queries.predictions(trained, 2, 3)] == [0.9, 0.7]


def test_who_takes_compressed_answers_edits_by_their_tag(script: APIClient, trained: Run) -> None:
    address, compressed = f"/api/v1/runs/{trained.pk}", {"HTTP_ACCEPT_ENCODING": "gzip"}
    read = script.get(address, **compressed)["ETag"]
    assert read.startswith("W/")
    assert script.patch(address, {"name": "renamed"}, HTTP_IF_MATCH=read, **compressed).status_code == 200
    assert script.patch(address, {"name": "again"}, HTTP_IF_MATCH=read, **compressed).status_code == 412


# --- live -------------------------------------------------------------------------------------------------------------


def named(events: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return [event for event in events if event["event"] == name]


def test_a_new_browser_gets_the_whole_curve_thinned(trained: Run) -> None:
    points = add_curve(trained, 5001)
    (metrics,) = named(_past(trained, 0), "metrics")
    assert len(metrics["data"]) <= 2000
    assert metrics["data"][-1]["step"] == 5001
    assert metrics["id"] == points[-1].pk


def test_a_returning_browser_gets_what_it_missed(trained: Run) -> None:
    points = add_curve(trained, 10)
    events = _past(trained, points[6].pk)
    (metrics,) = named(events, "metrics")
    assert [point["step"] for point in metrics["data"]] == [8, 9, 10]
    assert named(events, "job")


def test_a_returning_browser_forgets_what_never_happened(trained: Run) -> None:
    points = add_curve(trained, 10)
    # The worker died; the next attempt went back to step 5 and wrote steps 6 and 7 anew.
    Metric.objects.filter(run=trained, step__gt=5).delete()
    add_curve(trained, 2, first=6)
    events = _past(trained, points[-1].pk)
    (rewind,), (metrics,) = named(events, "rewind"), named(events, "metrics")
    assert rewind["data"] == {"step": 5}
    assert [point["step"] for point in metrics["data"]] == [6, 7]


def test_a_browser_that_missed_much_gets_the_whole_curve_thinned(trained: Run) -> None:
    points = add_curve(trained, 10_001)
    events = _past(trained, points[0].pk)
    (rewind,), (metrics,) = named(events, "rewind"), named(events, "metrics")
    assert rewind["data"] == {"step": -1}
    assert len(metrics["data"]) <= 2000
    assert metrics["id"] == points[-1].pk


@pytest.mark.django_db(transaction=True)
def test_the_stream_is_server_sent_events(alice: User, trained: Run) -> None:
    add_curve(trained, 3)
    secret = create_token(alice, give_personal_workspace(alice), "live")[1]

    async def first_events() -> bytes:
        key = {"Authorization": f"Bearer {secret}"}
        response = await AsyncClient().get(f"/api/v1/runs/{trained.pk}/events", headers=key)
        assert response["Content-Type"] == "text/event-stream"
        received = b""
        async for chunk in response.streaming_content:  # type: ignore[attr-defined]
            received += chunk
            if b"event: job" in received:
                break
        # The stream is open, and holds no connection.
        assert await sync_to_async(lambda: connection.connection)() is None
        return received

    received = asyncio.run(first_events()).decode()
    assert received.startswith("retry: ")
    assert "event: metrics" in received
    assert '"step":3' in received
