"""A run that has weights, as a worker would have left it."""

from __future__ import annotations

import hashlib
import io
import json
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks

from datasets_app.models import Clip, Dataset, Origin, RawData, RawDataImport, Source, Split
from deploy_app.models import Artifact
from edgewise import storage
from edgewise.accounts.models import User, Workspace
from edgewise.jobs import services as jobs
from edgewise.jobs.models import State
from edgewise.spec.run import RunParameters
from runs_app.models import Project, Run
from runs_app.services import prefill_run
from tests.networks import CLIP_SAMPLES, LABELS, random_clips, random_network
from workers.attempt import Attempt
from workers.jobs import build_artifact
from workers.jobs.manifest import make_manifest

SPLITS = (Split.TRAIN, Split.VALIDATION, Split.TEST)
WORDS = ("up", "down", "left", "right")
COUNT = 48
WASM = b"\0asm\1\0\0\0" + bytes(range(256))


@pytest.fixture
def dataset(alice: User, workspace: Workspace, tmp_path: Path) -> Dataset:
    """Clips of noise, half a second each."""
    pack = random_clips(tmp_path / "noise", COUNT).packs[0]
    sha256 = hashlib.sha256(pack.read_bytes()).hexdigest()
    storage.put_file(f"raw/{sha256}.pcm", pack)
    counts = {word: dict.fromkeys(SPLITS, COUNT // len(WORDS) // len(SPLITS)) for word in WORDS}
    raw_data = RawData.objects.create(
        workspace=workspace, created_by=alice, name="Noise", origin=Origin.UPLOADED, pack=f"raw/{sha256}.pcm",
        pack_sha256=sha256, clip_count=COUNT, median_milliseconds=500, label_counts=counts,
    )  # fmt: skip
    RawDataImport.objects.create(
        workspace=workspace, raw_data=raw_data, source=Source.UPLOAD, state=State.SUCCEEDED, finished_at=timezone.now()
    )
    Clip.objects.bulk_create(
        Clip(
            raw_data=raw_data, name=f"{index}.wav", label=WORDS[index % len(WORDS)],
            split=SPLITS[index // len(WORDS) % len(SPLITS)], offset=index * CLIP_SAMPLES, length=CLIP_SAMPLES,
            sample_rate=16000, peak_dbfs=-1, rms_dbfs=-20,
        )
        for index in range(COUNT)
    )  # fmt: skip
    parameters = {"keywords": list(LABELS[2:]), "clip_duration_ms": 500}
    return Dataset.objects.create(
        workspace=workspace, created_by=alice, raw_data=raw_data, name="Directions", parameters=parameters, counts=[]
    )


@pytest.fixture
def untrained(alice: User, workspace: Workspace, dataset: Dataset) -> Run:
    """A run that waits."""
    project = Project.objects.create(workspace=workspace, created_by=alice, name="Directions")
    parameters = RunParameters.model_validate(prefill_run(dataset)).model_dump(mode="json")
    return Run.objects.create(
        workspace=workspace, created_by=alice, project=project, dataset=dataset, name="Directions 1",
        parameters=parameters, labels=list(LABELS),
    )  # fmt: skip


@pytest.fixture(scope="session")
def weights() -> bytes:
    """Of a network that was never trained."""
    return random_network("kws-small").to_bytes()


@pytest.fixture
def run(untrained: Run, weights: bytes) -> Run:
    """A run with these weights."""
    manifest = json.dumps(make_manifest(untrained.dataset, untrained)).encode()
    untrained.weights_sha256 = hashlib.sha256(weights).hexdigest()
    untrained.manifest_sha256 = hashlib.sha256(manifest).hexdigest()
    storage.put_bytes(untrained.weights_name, weights)
    storage.put_bytes(untrained.manifest_name, manifest)
    untrained.state, untrained.finished_at = State.SUCCEEDED, timezone.now()
    untrained.save()
    return untrained


Build = Callable[[Artifact], Artifact]


@pytest.fixture
def build(django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks) -> Build:
    """Do an artifact's job here, as the worker's child does it."""

    def build(artifact: Artifact) -> Artifact:
        claimed = jobs.claim(Artifact, artifact.pk, "worker")
        assert claimed is not None
        with django_capture_on_commit_callbacks(execute=True):
            build_artifact.run(Attempt(claimed, threading.Event()))
        artifact.refresh_from_db()
        return artifact

    return build


@pytest.fixture
def stored(run: Run) -> Artifact:
    """An artifact of a few files, as if it had been built."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("lib/wasm/edgewise.wasm", WASM)
        file.writestr("edgewise_runner.js", "export class Spotter {}\n")
        file.writestr("golden.npz", b"PK")
    content = archive.getvalue()
    artifact = Artifact.objects.create(
        workspace=run.workspace, run=run, format="c", weights_sha256=run.weights_sha256, threshold=0.5, smoothing_ms=0,
        size=len(content), sha256=hashlib.sha256(content).hexdigest(), state=State.SUCCEEDED,
        finished_at=timezone.now(),
    )  # fmt: skip
    storage.put_bytes(artifact.file_name, content)
    return artifact
