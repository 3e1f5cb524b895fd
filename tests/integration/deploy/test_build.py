"""The job that builds an artifact."""

from __future__ import annotations

import hashlib
import json
import threading
import zipfile
from dataclasses import replace

import pytest
from django.core.files.storage import default_storage

from datasets_app.models import Origin, RawData
from deploy_app import services
from edgewise import storage
from edgewise.accounts.models import User
from edgewise.jobs import services as jobs
from edgewise.jobs.models import LogLine, State
from runs_app.models import Run
from tests.integration.deploy.conftest import Build
from tests.networks import LABELS, random_network
from workers.attempt import Attempt, Stopped
from workers.engine.errors import EngineError
from workers.export import forms
from workers.jobs import build_artifact

pytestmark = pytest.mark.django_db


def test_an_artifact_is_built_checked_and_described(run: Run, alice: User, build: Build) -> None:
    artifact = build(services.request_artifact(run=run, user=alice, format="binary"))
    content = storage.local_path(artifact.file_name).read_bytes()
    assert artifact.state == State.SUCCEEDED
    assert artifact.size == len(content)
    assert artifact.sha256 == hashlib.sha256(content).hexdigest()
    assert artifact.progress_done == artifact.progress_total == 4
    with zipfile.ZipFile(storage.local_path(artifact.file_name)) as archive:
        parameters = json.loads(archive.read("parameters.json"))
    assert parameters["labels"] == list(LABELS)
    assert parameters["edgewise"]["run"] == str(run.pk)
    assert parameters["edgewise"]["dataset"] == str(run.dataset_id)
    assert parameters["edgewise"]["revision"] == run.revision
    assert parameters["edgewise"]["weights_sha256"] == run.weights_sha256
    assert parameters["edgewise"]["accuracy"] == pytest.approx(artifact.accuracy, abs=1e-6)
    lines = LogLine.objects.filter(job_id=artifact.pk).values_list("text", flat=True)
    assert [line.split(":")[0] for line in lines] == ["Trained network", "SavedModel", "TFLite"]


def test_what_was_proved_is_in_the_archive_and_in_the_row(run: Run, alice: User, build: Build) -> None:
    artifact = build(services.request_artifact(run=run, user=alice, format="tflite"))
    with zipfile.ZipFile(storage.local_path(artifact.file_name)) as archive:
        assert json.loads(archive.read("report.json")) == artifact.report
    assert artifact.proof is not None
    assert artifact.proof.holds
    assert artifact.proof.weights_sha256 == run.weights_sha256
    assert [stage.title for stage in artifact.proof.stages] == ["Trained network", "TFLite"]


def test_a_form_that_differs_blocks_the_download_and_keeps_its_table(
    run: Run, alice: User, build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = replace(forms.TFLITE, load=lambda folder: lambda audio: forms.TFLITE.load(folder)(audio) + 1)
    monkeypatch.setitem(forms.FORMATS, "tflite", forms.Format(lambda _: (wrong,), forms.WITH_CLIENT))
    artifact = services.request_artifact(run=run, user=alice, format="tflite")
    with pytest.raises(EngineError, match="TFLite does not compute what was trained"):
        build(artifact)
    artifact.refresh_from_db()
    assert artifact.proof is not None
    assert [stage.status for stage in artifact.proof.stages] == ["holds", "differs"]
    assert "scores differ by 1," in artifact.proof.stages[1].reason
    assert not artifact.sha256


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_a_c_library_is_built_and_checked(run: Run, alice: User, build: Build, precision: str) -> None:
    artifact = build(services.request_artifact(run=run, user=alice, format="c", options={"precision": precision}))
    assert artifact.state == State.SUCCEEDED
    with zipfile.ZipFile(storage.local_path(artifact.file_name)) as archive:
        header = archive.read("src/edgewise_model.h").decode()
    assert f"#define EDGEWISE_{precision.upper()}\n" in header
    lines = LogLine.objects.filter(job_id=artifact.pk).values_list("text", flat=True)
    assert [line.split(":")[0] for line in lines] == ["Trained network", f"C library, {precision}", "Python runner"]


def test_what_is_deleted_is_built_again_with_the_same_bytes(run: Run, alice: User, build: Build) -> None:
    first = build(services.request_artifact(run=run, user=alice, format="tflite"))
    services.delete_artifact(first)
    second = build(services.request_artifact(run=run, user=alice, format="tflite"))
    assert second.pk != first.pk
    assert second.sha256 == first.sha256


def test_an_artifact_carries_the_operating_point_that_it_was_asked_for(run: Run, alice: User, build: Build) -> None:
    run.threshold, run.smoothing_ms = 0.62, 200
    run.save()
    artifact = services.request_artifact(run=run, user=alice, format="tflite")
    Run.objects.filter(pk=run.pk).update(threshold=0.9)  # chosen while it waits
    build(artifact)
    with zipfile.ZipFile(storage.local_path(artifact.file_name)) as archive:
        parameters = json.loads(archive.read("parameters.json"))
    assert parameters["threshold"] == 0.62
    assert parameters["detection"] == {"smoothing_ms": 200, "refractory_ms": 500}


def test_the_licence_of_foreign_noise_is_told(run: Run) -> None:
    dataset = run.dataset
    own = build_artifact._licence(dataset)
    assert own.startswith("uploaded by the users")
    dataset.noise_source = RawData(workspace=run.workspace, name="Street", origin=Origin.SPEECH_COMMANDS)
    told = build_artifact._licence(dataset)
    assert told == f"{own} Background noise: Speech Commands (Pete Warden, Google), CC BY 4.0."


def test_weights_that_were_replaced_meanwhile_are_not_taken(run: Run, alice: User, build: Build) -> None:
    artifact = services.request_artifact(run=run, user=alice, format="tflite")
    storage.put_bytes(run.weights_name, random_network("kws-small", seed=1).to_bytes())
    with pytest.raises(EngineError, match="other weights now"):
        build(artifact)


def test_weights_that_the_run_has_replaced_meanwhile_are_not_looked_for(run: Run, alice: User, build: Build) -> None:
    artifact = services.request_artifact(run=run, user=alice, format="tflite")
    default_storage.delete(run.weights_name)
    Run.objects.filter(pk=run.pk).update(weights_sha256="0" * 64)
    with pytest.raises(EngineError, match="other weights now"):
        build(artifact)


def test_weights_that_are_lost_are_named(run: Run, alice: User, build: Build) -> None:
    artifact = services.request_artifact(run=run, user=alice, format="tflite")
    default_storage.delete(run.weights_name)
    with pytest.raises(EngineError, match="not in the store any more"):
        build(artifact)


def test_weights_for_other_labels_are_refused(run: Run, alice: User, build: Build) -> None:
    Run.objects.filter(pk=run.pk).update(labels=["<silence>", "<unknown>", "up", "down", "right"])
    with pytest.raises(EngineError, match="but the run is for"):
        build(services.request_artifact(run=run, user=alice, format="tflite"))


def test_the_build_stops_when_it_is_asked_to(run: Run, alice: User) -> None:
    artifact = services.request_artifact(run=run, user=alice, format="tflite")
    claimed, stop = jobs.claim(type(artifact), artifact.pk, "worker"), threading.Event()
    assert claimed is not None
    stop.set()
    with pytest.raises(Stopped):
        build_artifact.run(Attempt(claimed, stop))
