"""A run on real workers: cancelled in each phase, resumed, continued from its weights; and imports that fail."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from graphql import GraphQLError

from tests.installation import Installation, wait_for
from tests.original_client import DATASETS, NETWORKS, PROJECTS, RESULTS, AuthenticationError, OriginalClient

pytestmark = pytest.mark.timeout(600)

PATIENCE = 120


@pytest.fixture(scope="module")
def dataset(installation: Installation) -> dict[str, Any]:
    spoken = {"name": "words", "synthesize": {"keywords": ["up", "down"], "clips_per_word": 60}}
    raw_data = installation.call("POST", "/raw-data", spoken)
    wait_for(state_of(installation, f"/raw-data/{raw_data['id']}", "succeeded"), "the words are spoken", PATIENCE)
    wanted = {"raw_data": raw_data["id"], "name": "two words", "parameters": {"keywords": ["up", "down"]}}
    made: dict[str, Any] = installation.call("POST", "/datasets", wanted)
    return made


@pytest.fixture(scope="module")
def optimize(installation: Installation, dataset: dict[str, Any]) -> Callable[..., str]:
    project = installation.call("POST", "/projects", {"name": "runs"})["id"]

    def make(name: str, steps: int, **more: Any) -> str:
        parameters = {"steps": steps, "validation_interval": min(20, steps), "batch_size": 16}
        body = {"project": project, "dataset": dataset["id"], "name": name, "parameters": parameters, **more}
        return f"/runs/{installation.call('POST', '/runs', body)['id']}"

    return make


def state_of(installation: Installation, path: str, *states: str) -> Callable[[], bool]:
    return lambda: installation.call("GET", path)["job"]["state"] in states


def has_trained(installation: Installation, run: str) -> Callable[[], bool]:
    return lambda: installation.call("GET", run)["best_step"] is not None


def curve(installation: Installation, run: str, series: str) -> list[int]:
    return [point["step"] for point in installation.call("GET", f"{run}/metrics") if point["series"] == series]


def test_a_cancelled_run_keeps_its_weights_and_can_be_resumed(
    installation: Installation, optimize: Callable[..., str]
) -> None:
    run = optimize("cancelled in training", 1000)
    wait_for(has_trained(installation, run), "it has been validated", PATIENCE)
    waiting = optimize("cancelled while it waits", 20)
    assert installation.call("POST", f"{waiting}/cancel")["job"]["state"] == "cancelled"
    installation.call("POST", f"{run}/cancel")
    wait_for(state_of(installation, run, "cancelled"), "it is cancelled", PATIENCE)
    cancelled = installation.call("GET", run)
    assert cancelled["weights_sha256"]
    assert 0 < cancelled["job"]["progress"]["done"] < 1000
    installation.call("POST", f"{run}/resume")
    wait_for(state_of(installation, run, "succeeded"), "it ends", 300)
    assert curve(installation, run, "validation") == list(range(20, 1001, 20))
    assert installation.call("GET", f"{run}/results")["clips"] > 0


def test_a_run_is_cancelled_while_it_compiles(installation: Installation, optimize: Callable[..., str]) -> None:
    run = optimize("cancelled early", 3000)
    wait_for(lambda: installation.call("GET", run)["job"]["message"] == "Compiling", "it compiles", PATIENCE)
    installation.call("POST", f"{run}/cancel")
    wait_for(state_of(installation, run, "cancelled"), "it is cancelled", PATIENCE)


def test_a_following_run_starts_where_the_first_one_ended(
    installation: Installation, optimize: Callable[..., str]
) -> None:
    first = optimize("first", 200)
    wait_for(state_of(installation, first, "succeeded"), "the first run ends", PATIENCE)
    ended = installation.call("GET", first)
    following = optimize("following", 20, initial_weights=ended["id"])
    wait_for(state_of(installation, following, "succeeded"), "the following run ends", PATIENCE)
    points = installation.call("GET", f"{following}/metrics")
    begin = next(point for point in points if point["series"] == "validation" and point["step"] == 0)
    assert begin["accuracy"] >= ended["best_accuracy"] - 0.03


def test_the_originals_client_trains_a_run(installation: Installation, dataset: dict[str, Any]) -> None:
    installation.call("POST", "/projects", {"name": "Example project"})
    client = OriginalClient(f"http://127.0.0.1:{installation.port}/gql", installation.token)
    project = next(row for row in client.execute(PROJECTS)["projects"] if row["name"] == "Example project")
    networks = client.execute(NETWORKS, modelType="KWS")["networks"]
    found = [row for base in client.execute(DATASETS, modelType="KWS")["baseData"] for row in base["datasets"]]
    (chosen,) = [row for row in found if row["name"] == dataset["name"]]
    wanted = {"batchSize": 2, "steps": 10}
    run = client.start_training_run(
        project["_id"], wanted, dataset=chosen["_id"], network=networks[0]["_id"]
    )  # fmt: skip

    def state() -> Any:
        return client.execute(RESULTS, id=run)["run"]

    assert state()["status"] in ("QUEUED", "RUNNING")
    wait_for(lambda: state()["status"] == "COMPLETED", "the run ends", PATIENCE)
    results = {row["name"]: row for row in state()["results"]}
    assert results["accuracy"]["category"] == "CLASSIFICATION"
    assert 1 < results["accuracy"]["value"] <= 100


def test_the_originals_client_checks_queries_by_our_schema(installation: Installation) -> None:
    client = OriginalClient(f"http://127.0.0.1:{installation.port}/gql", installation.token)
    with pytest.raises(GraphQLError, match="Did you mean 'projects'"):
        client.execute("{ project { _id } }")
    with pytest.raises(AuthenticationError, match="unknown or has expired"):
        OriginalClient(f"http://127.0.0.1:{installation.port}/gql", "expired").execute(PROJECTS)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda folder: folder / "words.tar.gz", "no archive that Edgewise can read"),
        (lambda folder: folder, "Nothing in this data could be used: words.tar.gz: This is an archive"),
    ],
)
def test_an_import_that_fails_says_why(
    installation: Installation, tmp_path: Path, make: Callable[[Path], Path], reason: str
) -> None:
    (tmp_path / "words.tar.gz").write_text("these are no recordings")
    made = installation.call("POST", "/raw-data", {"location": str(make(tmp_path))})
    path = f"/raw-data/{made['id']}"
    wait_for(state_of(installation, path, "failed"), "the import fails", PATIENCE)
    failure = installation.call("GET", path)["job"]["failure"]
    assert reason in failure["reason"]
    assert failure["remedy"]
    installation.call("DELETE", path)
