"""What users do with artifacts."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.utils import timezone

from deploy_app import formats, services
from deploy_app.models import Artifact
from edgewise import storage
from edgewise.accounts.models import User
from edgewise.errors import Conflict, Invalid
from edgewise.jobs.models import Outbox, State
from edgewise.spec.fields import declared
from edgewise.spec.library import LibraryOptions
from runs_app.models import Run
from runs_app.services import delete_run
from workers.export.c.package import SOURCES_ALONE
from workers.export.c.targets import TARGETS
from workers.export.forms import FORMATS

pytestmark = pytest.mark.django_db


def ended(artifact: Artifact, state: State) -> None:
    Artifact.objects.filter(pk=artifact.pk).update(state=state, finished_at=timezone.now())
    Outbox.objects.all().delete()


def test_each_format_that_is_offered_can_be_built() -> None:
    assert list(formats.FORMATS) == list(FORMATS)
    targets = declared(LibraryOptions)[1].choices
    assert {name: title for name, title in targets.items() if name != SOURCES_ALONE} == {
        name: target.title for name, target in TARGETS.items()
    }


def test_a_run_without_weights_says_why_it_cannot_be_deployed(untrained: Run, alice: User) -> None:
    assert "has not ended yet" in str(services.why_not_deployable(untrained))
    with pytest.raises(Conflict, match="has not ended yet"):
        services.request_artifact(run=untrained, user=alice, format="binary")
    untrained.state = State.FAILED
    assert "Resume it" in str(services.why_not_deployable(untrained))


def test_the_same_input_is_built_once(run: Run, alice: User) -> None:
    first = services.request_artifact(run=run, user=alice, format="binary")
    assert services.request_artifact(run=run, user=alice, format="binary", options={}) == first
    assert services.request_artifact(run=run, user=alice, format="tflite") != first
    assert Outbox.objects.count() == 2


def test_other_weights_are_another_input(run: Run, alice: User) -> None:
    first = services.request_artifact(run=run, user=alice, format="binary")
    run.weights_sha256 = "cd" * 32
    assert services.request_artifact(run=run, user=alice, format="binary") != first


def test_another_operating_point_is_another_input(run: Run, alice: User) -> None:
    first = services.request_artifact(run=run, user=alice, format="binary")
    run.threshold, run.smoothing_ms = 0.62, 200
    second = services.request_artifact(run=run, user=alice, format="binary")
    assert second != first
    assert (second.threshold, second.smoothing_ms) == (0.62, 200)
    run.threshold, run.smoothing_ms = None, None
    assert services.request_artifact(run=run, user=alice, format="binary") == first


@pytest.mark.parametrize("state", [State.FAILED, State.CANCELLED])
def test_what_failed_or_was_cancelled_is_built_again(run: Run, alice: User, state: State) -> None:
    artifact = services.request_artifact(run=run, user=alice, format="binary")
    ended(artifact, state)
    again = services.request_artifact(run=run, user=alice, format="binary")
    assert again == artifact
    assert again.state == State.QUEUED
    assert Outbox.objects.get().job_id == artifact.pk


@pytest.mark.parametrize(
    ("wanted", "field"),
    [({"format": "coffee"}, "format"), ({"format": "binary", "options": {"sugar": 2}}, "options.sugar")],
)
def test_a_wrong_format_or_option_is_named(run: Run, alice: User, wanted: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        services.request_artifact(run=run, user=alice, **wanted)
    assert list(refused.value.fields) == [field]
    assert not Artifact.objects.exists()


def test_an_artifact_that_is_being_built_is_not_deleted(run: Run, alice: User) -> None:
    with pytest.raises(Conflict, match="is being built"):
        services.delete_artifact(services.request_artifact(run=run, user=alice, format="binary"))


@pytest.mark.parametrize("with_run", [False, True])
def test_the_file_goes_with_the_row(
    run: Run, alice: User, with_run: bool, django_capture_on_commit_callbacks: Any
) -> None:
    artifact = services.request_artifact(run=run, user=alice, format="binary")
    storage.put_bytes(artifact.file_name, b"zip")
    ended(artifact, State.SUCCEEDED)
    artifact.refresh_from_db()
    with django_capture_on_commit_callbacks(execute=True):
        if with_run:
            delete_run(run)
        else:
            services.delete_artifact(artifact)
    assert not default_storage.exists(artifact.file_name)
