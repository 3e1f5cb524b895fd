"""Networks by REST and in the form: the same stages, the same messages, the same cost."""

from __future__ import annotations

from typing import Any

import pytest
from django.http import QueryDict
from django.test import Client
from rest_framework.test import APIClient

from datasets_app.models import Dataset
from edgewise.accounts.models import Scope, User
from edgewise.accounts.services import create_token, give_personal_workspace
from edgewise.spec.network import NETWORKS
from runs_app.forms import NetworkEditor, RunForm
from runs_app.models import Project, Run
from tests.integration.runs.conftest import make_dataset

pytestmark = pytest.mark.django_db

STAGES: list[dict[str, Any]] = [{"kind": "dense", "units": 12}, {"kind": "lmu", "order": 4, "theta": 20, "units": 16}]


@pytest.fixture
def form(project: Project, dataset: Dataset) -> dict[str, Any]:
    """The form of a run with a custom network, as a browser posts it."""
    steps = {"steps": "50", "validation_interval": "50"}
    return {"project": project.pk, "dataset": dataset.pk, "name": "mine", **steps, "network": "custom", **typed()}


def typed(*stages: dict[str, Any]) -> dict[str, str]:
    return {
        f"network.stages.{index}.{name}": str(value)
        for index, stage in enumerate(stages or STAGES)
        for name, value in stage.items()
    }


# --- REST -------------------------------------------------------------------------------------------------------------


def test_named_networks_come_with_their_cost(script: APIClient, dataset: Dataset) -> None:
    found = script.get("/api/v1/networks").json()
    assert list(found) == list(NETWORKS)
    small = found["kws-small"]
    assert [stage["kind"] for stage in small["stages"]] == [stage.kind for stage in NETWORKS["kws-small"].stages]
    assert small["device_cost"]["labels"] == 12
    assert small["device_cost"]["total"]["int8_bytes"] <= 25_000
    assert found["kws-reference"]["notice"]
    of_dataset = script.get(f"/api/v1/networks?dataset={dataset.pk}").json()["kws-small"]["device_cost"]
    assert of_dataset["labels"] == len(dataset.labels)
    assert of_dataset["total"]["parameters"] < small["device_cost"]["total"]["parameters"]
    wider = script.get("/api/v1/networks?features=80&window_stride_ms=10").json()["kws-small"]["device_cost"]
    assert (wider["features"], wider["frames_per_second"]) == (80, 100)


def test_the_cost_of_stages_is_that_of_a_run(script: APIClient, dataset: Dataset) -> None:
    body = {"stages": STAGES, "dataset": dataset.pk, "features": 20, "window_stride_ms": 20}
    cost = script.post("/api/v1/networks/cost", body).json()
    dense, lmu = (stage["cost"]["parameters"] for stage in cost["stages"])
    assert (dense, lmu) == (20 * 12 + 12, 12 * 4 * 16 + 16)
    assert cost["total"]["parameters"] == 2 * 20 + dense + lmu + (16 + 1) * len(dataset.labels)
    assert cost["total"]["state_bytes"] == 12 * 4
    assert [stage["memory_ms"] for stage in cost["stages"]] == [0, 400]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"stages": [{"kind": "dense"}]}, "stages.0.kind"),
        ({"stages": [{"kind": "lmu", "order": 0}]}, "stages.0.order"),
        ({"stages": STAGES, "labels": 0}, "labels"),
        ({"stages": STAGES, "dataset": "none"}, "dataset"),
        ({}, "stages"),
    ],
)
def test_a_wrong_question_about_cost_names_its_field(script: APIClient, body: dict[str, Any], field: str) -> None:
    answer = script.post("/api/v1/networks/cost", body)
    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == [field]


def test_a_token_that_may_read_may_ask_for_the_cost(alice: User) -> None:
    client = APIClient()
    secret = create_token(alice, give_personal_workspace(alice), "reader", Scope.READ)[1]
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")
    assert client.post("/api/v1/networks/cost", {"stages": STAGES}).status_code == 200


def test_a_strangers_dataset_counts_no_labels(script: APIClient, bob: User) -> None:
    theirs = make_dataset(bob)
    assert script.get(f"/api/v1/networks?dataset={theirs.pk}").status_code == 404
    assert script.post("/api/v1/networks/cost", {"stages": STAGES, "dataset": theirs.pk}).status_code == 404


def test_features_follow_what_a_custom_network_prefers(script: APIClient, project: Project, dataset: Dataset) -> None:
    network = {"stages": STAGES, "defaults": {"dct_num_features": 13}}
    body = {"project": project.pk, "dataset": dataset.pk, "name": "x", "parameters": {"network": network}}
    assert script.post("/api/v1/runs", body).json()["parameters"]["dct_num_features"] == 13


# --- the form ---------------------------------------------------------------------------------------------------------


def test_a_custom_network_is_made_by_the_form(browser: Client, form: dict[str, Any]) -> None:
    assert browser.post("/runs/new", form).status_code == 302
    stages = Run.objects.get().settings.network_spec.stages
    assert [stage.model_dump(include=set(STAGES[i])) for i, stage in enumerate(stages)] == STAGES


@pytest.mark.parametrize(
    "wrong",
    [
        [{"kind": "dense", "units": "many"}, {"kind": "lmu"}],
        [{"kind": "dense", "units": "8"}],
        [{"kind": "dense", "units": "8"}, {"kind": "lmu", "residual": "on"}, {"kind": "lmu"}],
        [{"kind": "conv"}],
    ],
)
def test_page_and_api_give_the_same_message_at_the_same_field(
    browser: Client, script: APIClient, form: dict[str, Any], wrong: list[dict[str, Any]]
) -> None:
    fields = {key: value for key, value in form.items() if not key.startswith("network.")} | typed(*wrong)
    page = browser.post("/runs/new", fields)
    owned = {"project": form["project"], "dataset": form["dataset"]}
    body = {**owned, "name": "x", "parameters": {"network": {"stages": wrong}}}
    (told,) = script.post("/api/v1/runs", body).json()["errors"]
    assert page.status_code == 400
    assert page.context["error"].fields == {told["field"]: told["message"]}
    text = page.content.decode()
    assert f'href="#field-{told["field"]}"' in text
    assert f'id="field-{told["field"]}"' in text
    assert not Run.objects.exists()


def test_without_scripts_a_button_changes_the_form_and_starts_nothing(browser: Client, form: dict[str, Any]) -> None:
    page = browser.post("/runs/new", {**form, "change": "down 0"})
    assert page.status_code == 200
    assert not Run.objects.exists()
    shown: RunForm = page.context["form"]
    assert [stage["kind"].text for stage in shown.stages] == ["lmu", "dense"]
    assert 'value="mine"' in page.content.decode()


def test_while_fields_are_typed_only_their_cost_is_drawn_anew(browser: Client, form: dict[str, Any]) -> None:
    drawn = {"network.drawn": "custom dense lmu"}
    live = browser.post("/runs/preview", {**form, **drawn}).content.decode()
    assert 'id="cost-1"' in live
    assert 'id="stages"' not in live
    other_kind = browser.post("/runs/preview", {**form, **drawn, "network.stages.0.kind": "lmu"}).content.decode()
    assert 'id="stages"' in other_kind
    assert 'name="network.stages.0.theta"' in other_kind


@pytest.mark.parametrize("parameters", [{}, {"steps": "none"}])
def test_chosen_weights_stay_chosen_while_other_fields_are_wrong(
    browser: Client, form: dict[str, Any], trained: Run, parameters: dict[str, str]
) -> None:
    posted = {**form, **parameters, "network": "kws-small", "initial_weights": trained.pk}
    page = browser.post("/runs/preview", posted)
    assert page.context["chosen"].run == trained
    assert f'value="{trained.pk}"\n            selected' in page.content.decode()


def test_weights_that_fit_no_more_are_told_beside_their_field(
    browser: Client, form: dict[str, Any], trained: Run
) -> None:
    state = browser.post("/runs/preview", {**form, "initial_weights": trained.pk}).context["state"]
    assert "its network has 6 stages, not 2" in state["errors"]["initial_weights"]


# --- the editor -------------------------------------------------------------------------------------------------------


def read(**posted: str) -> NetworkEditor:
    query = QueryDict(mutable=True)
    query.update(posted)
    return NetworkEditor.read(query)


def kinds(editor: NetworkEditor) -> list[str]:
    return [stage["kind"] for stage in editor.custom]


def test_a_custom_network_begins_with_the_one_that_was_looked_at() -> None:
    begun = read(network="custom", **{"network.origin": "kws-reference"})
    assert kinds(begun) == ["dense", "keras-lmu"]
    assert begun.value["defaults"] == NETWORKS["kws-reference"].defaults  # type: ignore[index]


def test_a_named_network_keeps_what_was_edited_before() -> None:
    looked = read(network="kws-large", **typed())
    assert looked.value == "kws-large"
    assert kinds(looked) == ["dense", "lmu"]


@pytest.mark.parametrize(
    ("command", "found"),
    [
        ("add", ["dense", "lmu", "lmu"]),
        ("remove 0", ["lmu"]),
        ("up 1", ["lmu", "dense"]),
        ("down 0", ["lmu", "dense"]),
        ("up 0", ["dense", "lmu"]),
        ("down 1", ["dense", "lmu"]),
        ("start kws-reference", ["dense", "keras-lmu"]),
        ("remove 9", ["dense", "lmu"]),
        ("start nothing", ["dense", "lmu"]),
        ("redraw", ["dense", "lmu"]),
    ],
)
def test_buttons_change_the_stages(command: str, found: list[str]) -> None:
    assert kinds(read(network="custom", change=command, **typed())) == found


def test_the_last_stage_is_not_removed() -> None:
    assert kinds(read(network="custom", change="remove 0", **typed(STAGES[1]))) == ["lmu"]
