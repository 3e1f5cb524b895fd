"""What users do with datasets: what is filled in, counted, refused, and kept."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError
from django.test import Client

from datasets_app import services
from datasets_app.models import Dataset, RawData
from datasets_app.revisions import DataRevision
from edgewise.accounts.models import User, Workspace
from edgewise.accounts.services import give_personal_workspace
from edgewise.errors import Conflict, Invalid
from runs_app.models import Project, Run
from tests.integration.datasets.conftest import SPLITS, make_clips

pytestmark = pytest.mark.django_db


@pytest.fixture
def raw_data(alice: User) -> RawData:
    words = {"up": 60, "down": 60, "right": 60, "rare": 20, "lost": 5}
    rows = [
        {"name": f"{word}/{n}.wav", "label": word, "split": "test" if word == "lost" else SPLITS[n % 10]}
        for word, count in words.items()
        for n in range(count)
    ]
    return make_clips(alice, rows)


@pytest.fixture
def create(alice: User, workspace: Workspace, raw_data: RawData) -> Any:
    def create(name: str = "Directions", **parameters: Any) -> Dataset:
        return services.create_dataset(
            workspace=workspace, user=alice, raw_data=raw_data, name=name, parameters={"keywords": ["up"], **parameters}
        )

    return create


def refused(create: Any, *args: Any, **parameters: Any) -> dict[str, str]:
    with pytest.raises(Invalid) as caught:
        create(*args, **parameters)
    return caught.value.fields


def test_what_is_left_out_is_read_off_the_data(create: Any, raw_data: RawData) -> None:
    RawData.objects.filter(pk=raw_data.pk).update(sample_rate=8000, median_milliseconds=437)
    raw_data.refresh_from_db()
    dataset = create()
    assert (dataset.recipe.sample_rate, dataset.recipe.clip_duration_ms) == (8000, 450)
    assert dataset.labels == ["<silence>", "<unknown>", "up"]
    filled = services.prefill(raw_data)
    assert filled["parameters"] == {"sample_rate": 8000, "clip_duration_ms": 450}
    assert "8,000 Hz" in filled["read_from"]["sample_rate"]
    assert "437 ms" in filled["read_from"]["clip_duration_ms"]


@pytest.mark.parametrize(
    ("milliseconds", "filled"), [(3, 250), (999, 1000), (1024, 1000), (1026, 1050), (60000, 10000)]
)
def test_durations_are_rounded_and_bounded(raw_data: RawData, milliseconds: int, filled: int) -> None:
    raw_data.median_milliseconds = milliseconds
    assert services.prefill(raw_data)["parameters"]["clip_duration_ms"] == filled


def test_counts_are_kept_as_they_were(create: Any) -> None:
    dataset = create()
    dataset.refresh_from_db()
    assert dataset.counts[2] == ["up", {"train": 48, "validation": 6, "test": 6}]
    assert dataset.totals["train"] == 48 + 5 + 5


@pytest.mark.parametrize(("wrong", "near"), [("rigth", "right"), ("dwn", "down"), ("Up", "up")])
def test_a_keyword_that_is_not_there_names_near_ones(create: Any, wrong: str, near: str) -> None:
    message = refused(create, keywords=["up", wrong])["keywords"]
    assert f"“{wrong}” is not in “Rows”" in message
    assert near in message


def test_a_keyword_like_none_that_is_there_names_some(create: Any) -> None:
    message = refused(create, keywords=["xylophone"])["keywords"]
    assert message == "“xylophone” is not in “Rows”. Its words are down, lost, rare, right, up."


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ({"keywords": []}, "keywords"),
        ({"keywords": ["up", "up"]}, "keywords"),
        ({"keywords": ["<silence>"]}, "keywords"),
        ({"keywords": "up"}, "keywords"),
        ({"sample_rate": 100}, "sample_rate"),
        ({"clip_duration_ms": 0}, "clip_duration_ms"),
        ({"silence_percentage": 101}, "silence_percentage"),
        ({"unknown_percentage": -1}, "unknown_percentage"),
        ({"split": "by moon"}, "split"),
        ({"validation_percentage": 45, "test_percentage": 44}, "test_percentage"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_wrong_parameter_names_its_field(create: Any, parameters: dict[str, Any], field: str) -> None:
    assert refused(create, **parameters).keys() == {field}


@pytest.fixture
def street(alice: User) -> RawData:
    """Raw data with noise."""
    street = make_clips(
        alice, [{"name": "street.wav", "label": "_background_noise_", "kind": "noise", "split": "train"}], name="Street"
    )
    RawData.objects.filter(pk=street.pk).update(noise_count=1)
    return street


def test_the_noise_of_other_raw_data_is_protected(create: Any, street: RawData) -> None:
    dataset = create(noise=str(street.pk))
    assert dataset.noise_source == street
    with pytest.raises(Conflict) as caught:
        services.delete_raw_data(street)
    assert caught.value.needed_by == ["dataset “Directions”, which uses its noise"]
    services.delete_dataset(dataset)
    services.delete_raw_data(street)


def test_noise_that_cannot_be_had(create: Any, raw_data: RawData, street: RawData, bob: User) -> None:
    message = "no such raw data with noise"
    assert message in refused(create, noise=str(raw_data.pk))["noise"]
    assert message in refused(create, noise="00000000-0000-7000-8000-000000000000")["noise"]
    RawData.objects.filter(pk=street.pk).update(workspace=give_personal_workspace(bob))
    assert message in refused(create, noise=str(street.pk))["noise"]
    assert "'loud' is not" in refused(create, noise="loud")["noise"]


def test_the_dialog_offers_the_noise_of_other_raw_data(raw_data: RawData, street: RawData, browser: Client) -> None:
    dialog = " ".join(browser.get(f"/datasets/raw/{raw_data.pk}/new").content.decode().split())
    assert f'<option value="{street.pk}" >That of Street</option>' in dialog
    browser.post(f"/datasets/raw/{raw_data.pk}/new", {"name": "Loud", "keywords": ["up"], "noise": street.pk})
    dataset = Dataset.objects.get(name="Loud")
    assert dataset.noise_source == street
    assert "That of Street" in browser.get(f"/datasets/{dataset.pk}/").content.decode()


def test_noise_that_is_shared_with_everyone(create: Any, street: RawData, bob: User) -> None:
    RawData.objects.filter(pk=street.pk).update(workspace=give_personal_workspace(bob), shared=True)
    assert create(noise=str(street.pk)).noise_source == street


def test_who_deletes_shared_data_is_told_whose_datasets_need_it(raw_data: RawData, bob: User) -> None:
    RawData.objects.update(shared=True)
    raw_data.refresh_from_db()
    services.create_dataset(
        workspace=give_personal_workspace(bob),
        user=bob,
        raw_data=raw_data,
        name="Mine",
        parameters={"keywords": ["up"]},
    )
    with pytest.raises(Conflict) as caught:
        services.delete_raw_data(raw_data)
    assert caught.value.needed_by == [f"dataset “Mine” of {give_personal_workspace(bob).name}"]


def test_a_split_by_speaker_needs_speakers(create: Any) -> None:
    assert "no speakers" in refused(create, split="speaker")["split"]


def test_a_word_without_training_clips_is_refused(create: Any) -> None:
    assert "no training clips of lost" in refused(create, keywords=["up", "lost"])["keywords"]


def test_unknown_needs_other_words(create: Any) -> None:
    keywords = ["up", "down", "right", "rare"]
    assert "no other words" in refused(create, keywords=keywords)["unknown_percentage"]
    assert create(keywords=keywords, unknown_percentage=0).labels == ["<silence>", *keywords]


def test_counting_warns_of_small_classes(raw_data: RawData) -> None:
    counted = services.count_labels(DataRevision(raw_data, raw_data.workspace), {"keywords": ["up", "rare"]})
    assert [label for label, _ in counted["labels"]] == ["<silence>", "<unknown>", "up", "rare"]
    few, uneven = counted["warnings"]
    assert few == "rare has only 20 clips; from 50 on results can be trusted."
    assert uneven.startswith("up has 48 training clips and rare only 16, so the network will favour up.")
    missing = services.count_labels(DataRevision(raw_data, raw_data.workspace), {"keywords": ["lost"]})["warnings"]
    assert "No train clips of" in " ".join(missing)


def test_raw_data_that_is_not_ready(create: Any, raw_data: RawData) -> None:
    raw_data.import_job.state = "running"
    with pytest.raises(Conflict, match="not imported yet"):
        create()


@pytest.mark.parametrize("name", ["", "   ", "x" * 101])
def test_impossible_names(create: Any, name: str) -> None:
    assert refused(create, name).keys() == {"name"}


def test_a_taken_name(create: Any) -> None:
    create()
    assert "taken" in refused(create, " Directions ")["name"]


def test_a_name_that_is_taken_at_the_same_moment(create: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    create()
    monkeypatch.setattr(services, "_checked_name", lambda model, workspace, name, but=None: name)
    assert "taken" in refused(create)["name"]
    assert Dataset.objects.count() == 1


def test_other_constraints_are_not_taken_for_names(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        with services._name_is_free("x"):
            raise IntegrityError("another constraint")

    with pytest.raises(IntegrityError):
        fail()


def test_names_are_free_in_other_workspaces(create: Any, bob: User) -> None:
    dataset = create()
    RawData.objects.filter(pk=dataset.raw_data_id).update(shared=True)
    services.create_dataset(
        workspace=give_personal_workspace(bob), user=bob, raw_data=dataset.raw_data, name=dataset.name,
        parameters={"keywords": ["up"]},
    )  # fmt: skip


def test_rename(create: Any) -> None:
    dataset, other = create(), create("Other")
    services.rename_dataset(dataset, "Directions")
    services.rename_dataset(dataset, " Turns ")
    dataset.refresh_from_db()
    assert dataset.name == "Turns"
    with pytest.raises(Invalid, match="taken"):
        services.rename_dataset(other, "Turns")


def test_delete(create: Any) -> None:
    services.delete_dataset(create())
    assert not Dataset.objects.exists()
    assert RawData.objects.exists()


def test_what_runs_need_is_not_deleted(create: Any, alice: User, workspace: Workspace) -> None:
    dataset = create()
    project = Project.objects.create(workspace=workspace, created_by=alice, name="Timer")
    Run.objects.create(
        workspace=workspace, created_by=alice, project=project, dataset=dataset, name="First", parameters={}, labels=[]
    )
    with pytest.raises(Conflict) as caught:
        services.delete_dataset(dataset)
    assert caught.value.needed_by == ["run “First”"]
    assert Dataset.objects.exists()
