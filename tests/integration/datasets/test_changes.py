"""What edits of clips change for a dataset that was made before them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from datasets_app import edits, services
from datasets_app.changes import Changes, changes_since
from datasets_app.models import Clip, ClipEdit, Dataset, RawData
from edgewise.accounts.models import User, Workspace
from edgewise.accounts.services import give_personal_workspace
from tests.integration.datasets.conftest import SPLITS, make_clips

pytestmark = pytest.mark.django_db
Edit = Callable[..., ClipEdit]


@pytest.fixture
def raw_data(alice: User) -> RawData:
    rows: list[dict[str, Any]] = [
        {"name": f"{word}/{n}.wav", "label": word, "split": SPLITS[n % 10]}
        for word in ("up", "down", "left")
        for n in range(20)
    ]
    rows += [{"name": f"hum{n}.wav", "label": "_noise_", "kind": "noise", "split": "train"} for n in range(2)]
    return make_clips(alice, rows)


@pytest.fixture
def create(alice: User, workspace: Workspace, raw_data: RawData) -> Callable[..., Dataset]:
    def create(**parameters: Any) -> Dataset:
        return services.create_dataset(
            workspace=workspace, user=alice, raw_data=raw_data, name=f"Of {parameters}",
            parameters={"keywords": ["up", "down"], **parameters},
        )  # fmt: skip

    return create


@pytest.fixture
def edit(alice: User, workspace: Workspace) -> Edit:
    """Edit clips by name."""

    def edit(service: Callable[..., ClipEdit], *names: str, **more: Any) -> ClipEdit:
        clips = Clip.objects.filter(name__in=names)
        raw_data = clips[0].raw_data
        return service(
            workspace=workspace, user=alice, raw_data=raw_data, clips=[clip.pk for clip in clips], **more
        )  # fmt: skip

    return edit


def told(changes: Changes) -> dict[str, str]:
    return {change.name: change.sentence for change in changes.clips}


def test_each_change_is_told(create: Callable[..., Dataset], edit: Edit) -> None:
    edit(edits.exclude_clips, "down/7.wav")
    dataset = create()
    edit(edits.exclude_clips, "up/0.wav", "up/1.wav", "hum1.wav")
    edit(edits.relabel_clips, "up/2.wav", label="down")
    edit(edits.relabel_clips, "left/3.wav", label="right")
    edit(edits.include_clips, "down/7.wav")
    changes = changes_since(dataset, dataset)
    assert told(changes) == {
        "down/7.wav": "excluded, now down",
        "hum1.wav": "_noise_, now excluded",
        "left/3.wav": "left, now right",
        "up/0.wav": "up, now excluded",
        "up/1.wav": "up, now excluded",
        "up/2.wav": "up, now down",
    }
    assert changes.sentence == "3 clips were excluded, 2 relabelled, 1 included again"


def test_what_was_undone_is_no_change(create: Callable[..., Dataset], edit: Edit, alice: User) -> None:
    earlier = edit(edits.relabel_clips, "up/0.wav", label="down")
    dataset = create()
    done = edit(edits.exclude_clips, "up/0.wav", "up/1.wav")
    assert changes_since(dataset, dataset).sentence == "2 clips were excluded"
    edits.undo_edit(edit=done, user=alice)
    assert told(changes_since(dataset, dataset)) == {}
    edits.undo_edit(edit=earlier, user=alice)
    assert told(changes_since(dataset, dataset)) == {"up/0.wav": "down, now up"}
    assert changes_since(dataset, dataset).sentence == "1 clip was relabelled"


def test_what_a_dataset_does_not_hear_is_no_change(create: Callable[..., Dataset], edit: Edit) -> None:
    deaf = create(unknown_percentage=0, noise="none")
    edit(edits.exclude_clips, "left/0.wav", "hum0.wav")
    assert told(changes_since(deaf, deaf)) == {}
    edit(edits.relabel_clips, "left/1.wav", label="up")
    assert told(changes_since(deaf, deaf)) == {"left/1.wav": "left, now up"}


def test_noise_of_other_raw_data_is_followed(create: Callable[..., Dataset], edit: Edit, alice: User) -> None:
    rows: list[dict[str, Any]] = [
        {"name": "street.wav", "label": "_noise_", "kind": "noise", "split": "train"},
        {"name": "word.wav", "label": "up", "split": "train"},
    ]
    street = make_clips(alice, rows, name="Street")
    RawData.objects.filter(pk=street.pk).update(noise_count=1)
    dataset = create(noise=str(street.pk))
    edit(edits.exclude_clips, "street.wav", "word.wav")
    edit(edits.exclude_clips, "hum0.wav")
    assert told(changes_since(dataset, dataset)) == {"street.wav": "_noise_, now excluded"}
    assert create(noise=str(street.pk), seed=1).noise_revision == 1


def test_other_workspaces_edits_change_nothing(
    create: Callable[..., Dataset], edit: Edit, raw_data: RawData, bob: User
) -> None:
    dataset = create()
    RawData.objects.filter(pk=raw_data.pk).update(shared=True)
    clips = list(raw_data.clips.values_list("pk", flat=True))
    edits.exclude_clips(workspace=give_personal_workspace(bob), user=bob, raw_data=raw_data, clips=clips)
    assert told(changes_since(dataset, dataset)) == {}
    services.refresh_counts([dataset])
    assert dataset.totals["train"] == create(seed=1).totals["train"]


def test_counts_follow_the_edits(
    create: Callable[..., Dataset], edit: Edit, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    dataset, other = create(), create(split="clip")
    before = dict(dataset.counts)["up"]["train"]
    edit(edits.exclude_clips, "up/0.wav")
    services.refresh_counts([dataset, other])
    assert dict(dataset.counts)["up"]["train"] == before - 1
    stored = Dataset.objects.get(pk=dataset.pk)
    assert (dict(stored.counts)["up"]["train"], stored.counted_revision, stored.revision) == (before - 1, 1, 0)
    with django_assert_num_queries(1):
        services.refresh_counts([stored, other])


def test_the_api_tells_counts_and_changes(create: Callable[..., Dataset], edit: Edit, script: APIClient) -> None:
    dataset = create()
    edit(edits.exclude_clips, "up/0.wav")
    address = f"/api/v1/datasets/{dataset.pk}"
    one, listed = script.get(address).json(), script.get("/api/v1/datasets").json()["results"][0]
    assert dict(one["counts"])["up"]["train"] == dict(listed["counts"])["up"]["train"] == 15
    assert one["revision"] == 0
    changes = script.get(f"{address}/changes").json()
    assert (changes["excluded"], changes["relabelled"], changes["included"]) == (1, 0, 0)
    assert changes["clips"][0] | {"clip": ""} == {
        "clip": "", "name": "up/0.wav", "raw_data": str(dataset.raw_data_id), "before": "up", "after": None,
    }  # fmt: skip


def test_the_page_shows_what_the_dataset_is_now(create: Callable[..., Dataset], edit: Edit, browser: Client) -> None:
    dataset = create()
    address = f"/datasets/{dataset.pk}/"
    assert "No clip was changed since the dataset was made." in browser.get(address).content.decode()
    edit(edits.exclude_clips, *[f"up/{n}.wav" for n in range(20)])
    page = browser.get(address).content.decode()
    assert "<strong>20 clips were excluded</strong> since the dataset was made." in page
    assert "No train clips of up." in page
