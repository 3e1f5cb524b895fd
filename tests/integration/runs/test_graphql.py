"""The interface of the original's client: what it asks, what it is refused, and what nobody may do by it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from datasets_app import services as datasets
from datasets_app.models import Dataset
from edgewise.accounts.models import Membership, Role, Scope, User, Workspace
from edgewise.accounts.services import create_token, give_personal_workspace, revoke_token
from edgewise.jobs.models import State
from runs_app import drafts
from runs_app.graphql.object_ids import ObjectId, object_id, with_object_id
from runs_app.models import Evaluation, Project, Run, RunDraft
from tests.original_client import ADD, DATASETS, NETWORKS, PROJECTS, RESULTS, START, UPDATE

pytestmark = pytest.mark.django_db


class Script:
    """A program with a token."""

    def __init__(self, user: User, scope: str = Scope.WRITE) -> None:
        self.user = user
        self.token, secret = create_token(user, give_personal_workspace(user), "script", scope)
        self.headers = {"Authorization": f"Bearer {secret}"}

    def post(self, body: Any) -> Any:
        content = body if isinstance(body, str) else json.dumps(body)
        return Client().post("/gql", content, content_type="application/json", headers=self.headers)

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self.post({"query": query, "variables": variables}).json()
        return answer

    def data(self, query: str, **variables: Any) -> Any:
        answer = self.ask(query, **variables)
        assert "errors" not in answer, answer
        return answer["data"]

    def refusal(self, query: str, **variables: Any) -> str:
        return str(self.ask(query, **variables)["errors"][0]["message"])

    def begin(self, project: Project) -> ObjectId:
        return ObjectId(self.data(ADD, id=object_id(project), modelType="KWS")["addRun"]["_id"])


@pytest.fixture
def program(alice: User) -> Script:
    return Script(alice)


@pytest.fixture
def stranger(bob: User) -> Script:
    return Script(bob)


# --- reading ----------------------------------------------------------------------------------------------------------


def test_what_a_run_is_made_of_is_listed(program: Script, project: Project, dataset: Dataset) -> None:
    assert program.data(PROJECTS) == {"projects": [{"_id": object_id(project), "name": "Directions"}]}
    listed = program.data(DATASETS, modelType="KWS")
    assert listed == {"baseData": [{"datasets": [{"_id": object_id(dataset), "name": "Directions"}]}]}
    assert program.data(DATASETS) == listed
    assert {"_id": "kws-small", "name": "kws-small"} in program.data(NETWORKS, modelType="KWS")["networks"]


def test_other_workspaces_see_nothing_of_it(stranger: Script, project: Project, dataset: Dataset, trained: Run) -> None:
    assert stranger.data(PROJECTS) == {"projects": []}
    assert stranger.data(DATASETS) == {"baseData": []}
    assert "no such run" in stranger.refusal(RESULTS, id=object_id(trained))
    assert "no such project" in stranger.refusal(ADD, id=object_id(project), modelType="KWS")
    own = stranger.begin(Project.objects.create(workspace=give_personal_workspace(stranger.user), name="Own"))
    assert "no such dataset" in stranger.refusal(UPDATE, id=own, runInput={"datasetId": object_id(dataset)})


def test_results_are_percentages(program: Script, measured: Run) -> None:
    assert program.data(RESULTS, id=object_id(measured))["run"]["status"] == "COMPLETED"
    Evaluation.objects.create(
        run=measured, clips=100, accuracy=0.9, balanced_accuracy=0.875, loss=0.5, confusion=[], report={}
    )
    results = program.data(RESULTS, id=object_id(measured))["run"]["results"]
    assert {"category": "CLASSIFICATION", "name": "accuracy", "value": 90} in results
    assert {"category": "CLASSIFICATION", "name": "balancedAccuracy", "value": 87.5} in results
    assert {row["name"] for row in results if row["category"] == "DETECTION"} == {
        "falseAcceptsPerHour",
        "missedKeywords",
    }


@pytest.mark.parametrize(
    ("state", "status"),
    [
        (State.QUEUED, "QUEUED"), (State.INTERRUPTED, "QUEUED"), (State.RUNNING, "RUNNING"),
        (State.FAILED, "ERROR"), (State.CANCELLED, "CANCELLED"), (State.SUCCEEDED, "COMPLETED"),
    ],
)  # fmt: skip
def test_each_state_has_a_status(program: Script, trained: Run, state: State, status: str) -> None:
    ended = None if state in (State.QUEUED, State.INTERRUPTED, State.RUNNING) else timezone.now()
    Run.objects.filter(pk=trained.pk).update(state=state, finished_at=ended, lease_until=timezone.now())
    assert program.data(RESULTS, id=object_id(trained))["run"]["status"] == status


def test_many_rows_cost_no_more_queries(program: Script, alice: User, dataset: Dataset) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            program.data("{ projects { _id name } baseData { _id name datasets { _id name } } }")
        return len(captured)

    few = queries()
    for number in range(5):
        datasets.create_dataset(
            workspace=dataset.workspace, user=alice, raw_data=dataset.raw_data, name=f"More {number}",
            parameters={"keywords": ["up"]},
        )  # fmt: skip
        Project.objects.create(workspace=dataset.workspace, created_by=alice, name=f"More {number}")
    assert queries() == few


def test_older_clients_can_read_the_schema(program: Script) -> None:
    """They know the places of directives of the GraphQL specification of 2021 alone."""
    places = program.data("{ __schema { directives { name locations } } }")["__schema"]["directives"]
    known = {
        "QUERY", "MUTATION", "SUBSCRIPTION", "FIELD", "FRAGMENT_DEFINITION", "FRAGMENT_SPREAD", "INLINE_FRAGMENT",
        "VARIABLE_DEFINITION", "SCHEMA", "SCALAR", "OBJECT", "FIELD_DEFINITION", "ARGUMENT_DEFINITION", "INTERFACE",
        "UNION", "ENUM", "ENUM_VALUE", "INPUT_OBJECT", "INPUT_FIELD_DEFINITION",
    }  # fmt: skip
    assert {"skip", "include", "deprecated"} <= {row["name"] for row in places}
    assert {place for row in places for place in row["locations"]} <= known


# --- a run ------------------------------------------------------------------------------------------------------------


def test_a_run_is_begun_described_and_started(program: Script, project: Project, dataset: Dataset) -> None:
    run = program.begin(project)
    assert program.data(RESULTS, id=run)["run"] == {"status": "CREATED", "results": []}
    program.data(UPDATE, id=run, runInput={"hyperparams": {"batchSize": 2, "steps": 10}, "hardwareId": "gpu"})
    program.data(UPDATE, id=run, runInput={"datasetId": object_id(dataset), "networkId": "kws-medium"})
    assert program.data(START, id=run) == {"startOptimize": {"_id": run, "status": "QUEUED"}}
    assert program.data(RESULTS, id=run)["run"] == {"status": "QUEUED", "results": []}
    made = Run.objects.get()
    assert object_id(made) == run
    assert (made.settings.network, made.settings.steps, made.settings.batch_size) == ("kws-medium", 10, 2)
    assert (made.dataset, made.project, made.created_by, made.name) == (dataset, project, program.user, "kws-medium 1")
    assert not RunDraft.objects.exists()


def test_runs_are_named_by_their_network_unless_they_have_a_name(
    program: Script, project: Project, dataset: Dataset
) -> None:
    for name in ("", "", "the best"):
        run = program.begin(project)
        program.data(UPDATE, id=run, runInput={"datasetId": object_id(dataset), "name": name})
        program.data(START, id=run)
    assert set(Run.objects.values_list("name", flat=True)) == {"kws-small 1", "kws-small 2", "the best"}


def test_an_update_answers_with_the_run_as_it_is_now(program: Script, project: Project) -> None:
    renamed = "mutation ($id: ObjectId!, $to: RunInput!) { updateRun(run: $id, updates: $to) { name } }"
    answer = program.data(renamed, id=program.begin(project), to={"name": "the best"})
    assert answer == {"updateRun": {"name": "the best"}}


def test_a_started_run_is_neither_changed_nor_started_again(
    program: Script, project: Project, dataset: Dataset
) -> None:
    run = program.begin(project)
    program.data(UPDATE, id=run, runInput={"datasetId": object_id(dataset)})
    program.data(START, id=run)
    assert "was started already" in program.refusal(START, id=run)
    assert "was started already" in program.refusal(UPDATE, id=run, runInput={"hyperparams": {"steps": 1}})
    assert Run.objects.count() == 1


@pytest.mark.parametrize(
    ("updates", "reason"),
    [
        ({"hyperparams": {"bathSize": 2}}, "no hyperparameter bathSize. Those that there are: "),
        ({"hyperparams": {"batch_size": 2}}, "batchSize"),
        ({"hyperparams": [1]}, "must be an object"),
        ({"networkId": "kws-huge"}, "no network “kws-huge”. Choose one of kws-small"),
        ({"hardwareId": "tsp"}, "no hardware “tsp” here. Choose one of gpu"),
        ({"name": "n" * 101}, "at most 100 characters"),
    ],
)
def test_what_is_not_there_is_refused_with_what_is(
    program: Script, project: Project, updates: dict[str, Any], reason: str
) -> None:
    assert reason in program.refusal(UPDATE, id=program.begin(project), runInput=updates)


def test_wrong_values_are_refused_as_they_are_elsewhere(program: Script, project: Project, dataset: Dataset) -> None:
    run = program.begin(project)
    assert "has no dataset" in program.refusal(START, id=run)
    wrong = {"datasetId": object_id(dataset), "hyperparams": {"batchSize": 0, "steps": "many"}}
    program.data(UPDATE, id=run, runInput=wrong)
    error = program.ask(START, id=run)["errors"][0]
    assert "Batch size must be a whole number from 1 to 4,096" in error["message"]
    assert set(error["extensions"]["fields"]) == {"batchSize", "steps"}
    assert not Run.objects.exists()
    program.data(UPDATE, id=run, runInput={"hyperparams": {"batchSize": 8, "steps": 10}})
    assert program.data(START, id=run)["startOptimize"]["status"] == "QUEUED"


def test_drafts_that_nobody_started_go_after_a_week(program: Script, project: Project) -> None:
    old, new = program.begin(project), program.begin(project)
    weeks_ago = timezone.now() - 2 * drafts.KEPT
    with_object_id(RunDraft.objects.all(), old).update(created_at=weeks_ago)
    drafts.delete_old()
    assert [object_id(draft) for draft in RunDraft.objects.all()] == [new]
    assert "no such run" in program.refusal(RESULTS, id=old)


# --- who may ----------------------------------------------------------------------------------------------------------


def test_a_session_alone_is_not_let_in(browser: Client) -> None:
    answer = browser.post("/gql", {"query": PROJECTS}, content_type="application/json")
    assert answer.status_code == 401
    assert "not signed in" in answer.json()["errors"][0]["message"]


def test_a_revoked_token_is_not_let_in(program: Script) -> None:
    revoke_token(program.user, program.token.pk)
    assert program.post({"query": PROJECTS}).status_code == 401
    assert "unknown or has expired" in program.refusal(PROJECTS)


def test_who_may_only_read_changes_nothing(
    alice: User, program: Script, project: Project, workspace: Workspace
) -> None:
    run = program.begin(project)
    Membership.objects.filter(user=alice, workspace=workspace).update(role=Role.VIEWER)
    reader = Script(alice, Scope.READ)
    for who, reason in ((reader, "This token may only read"), (program, "that of a viewer")):
        assert reason in who.refusal(ADD, id=object_id(project), modelType="KWS")
        assert reason in who.refusal(UPDATE, id=run, runInput={})
        assert reason in who.refusal(START, id=run)
    assert reader.data(PROJECTS)["projects"]


# --- hostile requests -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", ["", "x", "0" * 23, "0" * 25, "z" * 24, "01998f9e-0000-7000-8000-0000", 5, None])
def test_ids_that_are_none_are_refused(program: Script, wrong: Any) -> None:
    assert program.refusal(RESULTS, id=wrong)


def test_an_unknown_id_is_told_from_nothing(program: Script) -> None:
    assert "no such run in your workspace" in program.refusal(RESULTS, id="0" * 24)


@pytest.mark.parametrize(
    "query",
    [
        "{ __schema { types { fields { type { fields { type { fields { type { name } } } } } } } } }" * 40,
        "{ a " * 3000 + "}" * 3000,
        "{ " + " ".join(f"a{number}: projects {{ name }}" for number in range(11)) + " }",
        "{ " + "projects { name } " * 200 + "}",
        "{ baseData { ...A } } fragment A on BaseData { ...B } fragment B on BaseData { ...A }",
        "{ projects { name }",
        "{ secrets }",
    ],
    ids=["long", "deep", "aliases", "wide", "circular", "broken", "unknown"],
)
def test_queries_that_are_too_much_are_refused(program: Script, query: str) -> None:
    answer = program.post({"query": query})
    assert answer.status_code < 500
    assert answer.json()["errors"][0]["message"]


def test_requests_that_are_too_large_or_no_queries_are_refused(program: Script, project: Project) -> None:
    assert program.post({"query": PROJECTS, "variables": {"x": "x" * 70_000}}).status_code == 413
    for body in ("[" * 60_000, "no JSON", "[]", "5", "{}"):
        assert 400 <= program.post(body).status_code < 500
    assert Client().get("/gql", {"query": PROJECTS}, headers=program.headers).status_code == 405


def test_what_nobody_foresaw_is_hidden(program: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(workspace: Workspace) -> None:
        raise RuntimeError("the password is 12345")

    monkeypatch.setattr("datasets_app.queries.dataset_list", fail)
    message = program.refusal(DATASETS)
    assert "12345" not in message
    assert "operator" in message
