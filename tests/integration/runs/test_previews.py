"""Training examples to be heard and seen: the very ones of training, made once, kept for a week."""

from __future__ import annotations

import datetime
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from django.core.files.storage import default_storage
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks
from rest_framework.test import APIClient

from datasets_app import services as datasets
from datasets_app.models import Clip, Dataset, RawData
from edgewise.accounts.models import User
from edgewise.errors import Invalid
from edgewise.jobs import services as jobs
from edgewise.jobs.models import State
from edgewise.wav import HEADER_BYTES
from runs_app import previews
from runs_app.models import Preview
from runs_app.services import validated
from tests.integration.conftest import client_of
from tests.integration.runs.conftest import dataset_of
from workers.attempt import Attempt
from workers.engine.batches import BatchSource
from workers.jobs import preview_examples
from workers.jobs.manifest import make_manifest, training_data
from workers.jobs.preview_examples import LOUDEST

pytestmark = pytest.mark.django_db

Make = Callable[[Preview], Preview]


@pytest.fixture
def dataset(tones: RawData) -> Dataset:
    return dataset_of(tones)


@pytest.fixture
def make(django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks) -> Make:
    """Do a preview's job here, as the worker's child does it."""

    def make(preview: Preview) -> Preview:
        claimed = jobs.claim(Preview, preview.pk, "worker")
        assert claimed is not None
        with django_capture_on_commit_callbacks(execute=True):
            preview_examples.run(Attempt(claimed, threading.Event()))
        preview.refresh_from_db()
        return preview

    return make


def source_of(dataset: Dataset, folder: Path, **parameters: Any) -> BatchSource:
    data = training_data(dataset, make_manifest(dataset, dataset), folder)
    return BatchSource(data, validated(dataset, parameters))


def sounds(preview: Preview) -> npt.NDArray[np.int16]:
    return np.stack([np.frombuffer(previews.audio(preview, n)[HEADER_BYTES:], "<i2") for n in range(Preview.SIZE)])


def test_examples_are_those_of_training(dataset: Dataset, alice: User, make: Make, tmp_path: Path) -> None:
    preview = make(previews.request_preview(dataset=dataset, user=alice, step=7))
    assert preview.state == State.SUCCEEDED
    expected = source_of(dataset, tmp_path).examples(7)
    heard = np.clip(expected.audio[: Preview.SIZE], -LOUDEST / 32768, LOUDEST / 32768)
    assert np.abs(sounds(preview) / 32768 - heard).max() <= 0.5 / 32768
    shown = previews.examples(preview)
    assert [example.label for example in shown] == [dataset.labels[label] for label in expected.labels[: Preview.SIZE]]
    for example in shown:
        clip = Clip.objects.get(pk=example.clip)
        assert clip.name == example.name
        assert clip.label == ("_background_noise_" if example.label == "<silence>" else example.label)
    assert all(previews.picture(preview, number).startswith(b"\x89PNG") for number in range(Preview.SIZE))


def test_parameters_change_what_is_heard(dataset: Dataset, alice: User, make: Make, tmp_path: Path) -> None:
    as_it_is = {
        "noise_probability": 0, "shift_ms": 0, "gain_db": 0, "speed_percentage": 0, "narrowband_probability": 0,
    }  # fmt: skip
    plain = make(previews.request_preview(dataset=dataset, user=alice, parameters=as_it_is))
    augmented = make(previews.request_preview(dataset=dataset, user=alice))
    assert [one["clip"] for one in plain.examples] == [one["clip"] for one in augmented.examples]
    assert not np.array_equal(sounds(plain), sounds(augmented))
    assert np.array_equal(sounds(plain)[0] / 32768, source_of(dataset, tmp_path, **as_it_is).examples(0).audio[0])


def test_small_batches_are_shown_one_after_the_other(dataset: Dataset, alice: User, make: Make, tmp_path: Path) -> None:
    parameters = {"batch_size": 4}
    preview = make(previews.request_preview(dataset=dataset, user=alice, parameters=parameters, step=3))
    assert preview.next_step == 6
    source = source_of(dataset, tmp_path, **parameters)
    labels = np.concatenate([source.batch(step)[1] for step in (3, 4, 5)])[: Preview.SIZE]
    assert [example.label for example in previews.examples(preview)] == [dataset.labels[label] for label in labels]


def test_what_does_not_decide_the_batches_makes_no_other_preview(dataset: Dataset, alice: User) -> None:
    first = previews.request_preview(dataset=dataset, user=alice)
    assert previews.request_preview(dataset=dataset, user=alice, parameters={"steps": 5, "learning_rate": 0.1}) == first
    assert previews.request_preview(dataset=dataset, user=alice, parameters={"shift_ms": 5}) != first
    assert previews.request_preview(dataset=dataset, user=alice, step=1) != first


def test_a_preview_that_failed_is_made_again(dataset: Dataset, alice: User, make: Make) -> None:
    preview = previews.request_preview(dataset=dataset, user=alice)
    claimed = jobs.claim(Preview, preview.pk, "worker")
    assert claimed is not None
    jobs.fail(claimed, code="broken", reason="It broke.", remedy="Try again.")
    assert make(previews.request_preview(dataset=dataset, user=alice)) == preview


@pytest.mark.parametrize(
    ("values", "field"),
    [({"step": -1}, "step"), ({"step": 1_000_000}, "step"), ({"parameters": {"shift_ms": -1}}, "shift_ms")],
)
def test_impossible_wishes(dataset: Dataset, alice: User, values: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as caught:
        previews.request_preview(dataset=dataset, user=alice, **values)
    assert caught.value.fields.keys() == {field}


def test_previews_go_after_a_week_and_with_their_dataset(
    dataset: Dataset, alice: User, make: Make, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    old, young = (make(previews.request_preview(dataset=dataset, user=alice, step=step)) for step in (0, 1))
    Preview.objects.filter(pk=old.pk).update(queued_at=timezone.now() - datetime.timedelta(days=8))
    with django_capture_on_commit_callbacks(execute=True):
        previews.delete_old()
    assert list(Preview.objects.all()) == [young]
    assert not default_storage.exists(old.audio_name(0))
    assert default_storage.exists(young.audio_name(0))
    with django_capture_on_commit_callbacks(execute=True):
        datasets.delete_dataset(dataset)
    assert not default_storage.exists(young.picture_name(9))


def test_the_api(dataset: Dataset, script: APIClient, bob: User, make: Make) -> None:
    address = f"/api/v1/datasets/{dataset.pk}/preview"
    asked = script.post(address, {"parameters": {"shift_ms": 20}, "step": 2}, format="json")
    assert asked.status_code == 201
    found = asked.json()
    assert (found["step"], found["next_step"], found["examples"]) == (2, 3, [])
    assert found["parameters"]["shift_ms"] == 20
    assert found["job"]["state"] == "queued"
    one = f"{address}/{found['id']}"
    early = script.get(f"{one}/examples/0/audio")
    assert (early.status_code, early["Content-Type"]) == (404, "application/problem+json")
    make(Preview.objects.get(pk=found["id"]))
    found = script.get(one).json()
    assert len(found["examples"]) == Preview.SIZE
    example = found["examples"][3]
    audio, picture = script.get(example["audio"]), script.get(example["picture"])
    assert (audio.status_code, audio["Content-Type"], audio.content[:4]) == (200, "audio/wav", b"RIFF")
    assert (picture.status_code, picture["Content-Type"]) == (200, "image/png")
    assert script.get(f"{one}/examples/10/picture").status_code == 404
    assert [row["id"] for row in script.get(address).json()["results"]] == [found["id"]]
    assert script.post(address, {"step": -1}, format="json").json()["errors"][0]["field"] == "step"
    stranger = client_of(bob)
    assert {stranger.get(path).status_code for path in (address, one, example["audio"])} == {404}
