"""A run keeps the clips as they were when it was queued, whatever is edited afterwards."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.test import Client
from rest_framework.test import APIClient

from datasets_app import edits
from datasets_app.models import Clip, Dataset, RawData
from edgewise.accounts.models import User, Workspace
from edgewise.errors import Invalid
from edgewise.ids import new_id
from edgewise.jobs import services as jobs
from runs_app import previews, services
from runs_app.models import Project, Run
from tests.integration.runs.conftest import HEARD, dataset_of
from tests.unit.engine.tones import run_parameters
from workers.engine.batches import BatchSource
from workers.jobs import manifest, train

pytestmark = pytest.mark.django_db
STEPS = 5


@pytest.fixture
def dataset(tones: RawData) -> Dataset:
    return dataset_of(tones)


@pytest.fixture
def optimize(alice: User, workspace: Workspace, project: Project, dataset: Dataset) -> Callable[..., Run]:
    def optimize(name: str, **more: Any) -> Run:
        return services.create_run(
            workspace=workspace, user=alice, project=project, name=name, dataset=dataset,
            parameters=run_parameters().model_dump(mode="json"), **more,
        )  # fmt: skip

    return optimize


@pytest.fixture
def exclude(alice: User, workspace: Workspace, tones: RawData) -> Callable[..., None]:
    """Exclude training clips of a label."""

    def exclude(label: str = HEARD[0], count: int = 4) -> None:
        clips = Clip.objects.filter(raw_data=tones, label=label, split="train").order_by("name")
        edits.exclude_clips(
            workspace=workspace, user=alice, raw_data=tones, clips=[clip.pk for clip in clips[:count]]
        )  # fmt: skip

    return exclude


def batches_of(run: Run, folder: Path) -> list[Any]:
    """The first batches, as the run's next attempt would train on them."""
    claimed = jobs.claim(Run, run.pk, "worker")
    assert claimed is not None
    data = manifest.training_data(run.dataset, train._manifest(claimed), folder)
    source = BatchSource(data, run.settings)
    jobs.interrupt(claimed, "The worker was stopped.")
    return [array for step in range(STEPS) for array in source.batch(step)]


def same(one: list[Any], other: list[Any]) -> bool:
    return all(np.array_equal(left, right) for left, right in zip(one, other, strict=True))


def test_what_is_edited_while_a_run_waits_is_not_heard(
    optimize: Callable[..., Run], exclude: Callable[..., None], tmp_path: Path
) -> None:
    reference = batches_of(optimize("reference"), tmp_path)
    waiting = optimize("waiting")
    exclude()
    later = optimize("later")
    assert (waiting.revision, later.revision) == (0, 1)
    assert same(batches_of(waiting, tmp_path), reference)
    assert not same(batches_of(later, tmp_path), reference)


def test_a_run_goes_on_and_is_repeated_on_the_same_batches(
    optimize: Callable[..., Run], exclude: Callable[..., None], tmp_path: Path
) -> None:
    first = optimize("first")
    before = batches_of(first, tmp_path)
    exclude()
    assert same(batches_of(first, tmp_path), before)
    exclude(HEARD[1])
    repeated = optimize("repeated", same_data_as=first)
    assert repeated.revision == 0
    assert same(batches_of(repeated, tmp_path), before)
    # The list of clips is the same too, so that they share their features.
    first.refresh_from_db()
    repeated.refresh_from_db()
    assert repeated.manifest_sha256 == first.manifest_sha256


def test_a_repeated_run_does_not_hear_what_was_recorded_since(
    optimize: Callable[..., Run], tones: RawData, tmp_path: Path
) -> None:
    first = optimize("first")
    before = batches_of(first, tmp_path)
    for clip in Clip.objects.filter(raw_data=tones, split="train"):
        clip.pk, clip.name = new_id(), f"{clip.name} again"
        clip.save(force_insert=True)
    first.refresh_from_db()
    assert same(batches_of(optimize("repeated", same_data_as=first), tmp_path), before)
    assert not same(batches_of(optimize("new"), tmp_path), before)


def test_another_datasets_run_cannot_be_repeated(
    optimize: Callable[..., Run], tones: RawData, project: Project, alice: User, workspace: Workspace
) -> None:
    first, other = optimize("first"), dataset_of(tones, seed=1)
    with pytest.raises(Invalid, match="is on another dataset"):
        services.create_run(
            workspace=workspace, user=alice, project=project, name="second", dataset=other, parameters={},
            same_data_as=first,
        )  # fmt: skip


def test_a_keyword_that_was_emptied_is_told(
    optimize: Callable[..., Run], exclude: Callable[..., None], dataset: Dataset, alice: User
) -> None:
    first = optimize("first")
    exclude(HEARD[2], 100)
    with pytest.raises(Invalid) as caught:
        optimize("second")
    assert caught.value.fields["dataset"].startswith(
        "All training clips of high in “Tones” were excluded or relabelled."
    )
    with pytest.raises(Invalid, match="All training clips of high"):
        previews.request_preview(dataset=dataset, user=alice)
    assert optimize("third", same_data_as=first).revision == 0


def test_examples_of_a_run_are_of_its_data(
    optimize: Callable[..., Run], exclude: Callable[..., None], dataset: Dataset, alice: User
) -> None:
    run = optimize("first")
    exclude()
    ask = {"dataset": dataset, "user": alice, "parameters": run.parameters}
    assert previews.request_preview(**ask, same_data_as=run).revision == 0
    assert previews.request_preview(**ask).revision == 1


def test_the_api(optimize: Callable[..., Run], exclude: Callable[..., None], script: APIClient) -> None:
    run = optimize("first")
    exclude(count=3)
    address = f"/api/v1/runs/{run.pk}"
    assert script.get(address).json()["revision"] == 0
    changes = script.get(f"{address}/changes").json()
    assert (changes["excluded"], len(changes["clips"])) == (3, 3)
    body = {"project": str(run.project_id), "dataset": str(run.dataset_id), "parameters": run.parameters}
    again = script.post("/api/v1/runs", body | {"name": "again", "same_data_as": str(run.pk)}, format="json")
    assert (again.status_code, again.json()["revision"]) == (201, 0)
    new = script.post("/api/v1/runs", body | {"name": "new"}, format="json")
    assert (new.status_code, new.json()["revision"]) == (201, 1)
    unknown = {"name": "unknown", "same_data_as": "00000000-0000-7000-8000-000000000000"}
    assert script.post("/api/v1/runs", body | unknown, format="json").status_code == 404


def test_the_pages_offer_both(optimize: Callable[..., Run], exclude: Callable[..., None], browser: Client) -> None:
    run = optimize("first")
    configuration = f"/runs/{run.pk}/configuration"
    assert "No clip was changed since the run was queued." in browser.get(configuration).content.decode()
    exclude(count=3)
    page = browser.get(configuration).content.decode()
    assert "<strong>3 clips were excluded</strong> since the run was queued." in page
    again = f"/runs/new?project={run.project_id}&from={run.pk}"
    assert again.replace("&", "&amp;") in page
    form = " ".join(browser.get(f"{again}&same_data_as={run.pk}").content.decode().split())
    assert f'<option value="{run.pk}" selected>As “first” heard them</option>' in form
    sent = {"project": run.project_id, "dataset": run.dataset_id, "network": "kws-small", "from": run.pk}
    browser.post("/runs/new", sent | {"name": "repeated", "same_data_as": run.pk})
    browser.post("/runs/new", sent | {"name": "as it is now", "same_data_as": ""})
    assert dict(Run.objects.values_list("name", "revision")) == {"first": 0, "repeated": 0, "as it is now": 1}


def test_a_page_that_names_a_deleted_run_makes_no_other_one(optimize: Callable[..., Run], alice: User) -> None:
    run = optimize("first")
    browser = Client(headers={"host": "localhost"})
    browser.force_login(alice)
    sent = {"project": run.project_id, "dataset": run.dataset_id, "network": "kws-small", "name": "repeated"}
    answer = browser.post("/runs/new", sent | {"same_data_as": "00000000-0000-7000-8000-000000000000"})
    assert answer.status_code == 400
    assert "does not exist any more" in answer.content.decode()
    assert Run.objects.get() == run
