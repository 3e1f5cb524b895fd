"""A dataset to train on, without its audio for tests that never train, and of tones for those that do."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pytest
from django.utils import timezone

from datasets_app import services as datasets
from datasets_app.models import Clip, ClipKind, Dataset, Origin, RawData, RawDataImport, Source
from edgewise import storage
from edgewise.accounts.models import User, Workspace
from edgewise.accounts.services import give_personal_workspace
from edgewise.jobs.models import State
from edgewise.spec.dataset import SPLITS
from edgewise.spec.detection import SMOOTHING_MS, THRESHOLDS
from runs_app.models import Detection, Project, Run
from tests.unit.engine.tones import RATE, SAMPLES, TONES_HZ

WORDS = ["up", "down", "left"]
HEARD = ("low", "middle", "high")
CLIPS_PER_WORD = 30
NOISE_SECONDS = 20


def make_dataset(user: User, name: str = "Directions", keywords: list[str] | None = None) -> Dataset:
    workspace = give_personal_workspace(user)
    counts = {word: {"train": 80, "validation": 10, "test": 10} for word in [*WORDS, "house"]}
    raw_data = RawData.objects.create(
        workspace=workspace, created_by=user, name=f"words of {name}", origin=Origin.UPLOADED, label_counts=counts
    )
    RawDataImport.objects.create(
        workspace=workspace, raw_data=raw_data, source=Source.PATH, state=State.SUCCEEDED, finished_at=timezone.now()
    )
    return datasets.create_dataset(
        workspace=workspace, user=user, raw_data=raw_data, name=name, parameters={"keywords": keywords or WORDS}
    )


@pytest.fixture
def dataset(alice: User) -> Dataset:
    return make_dataset(alice)


@pytest.fixture
def project(alice: User, workspace: Workspace) -> Project:
    return Project.objects.create(workspace=workspace, created_by=alice, name="Directions")


@pytest.fixture
def measured(trained: Run) -> Run:
    """A run whose detections were measured: two hours; the higher the threshold, the more is missed."""
    curve = {
        "false_accepts": [len(THRESHOLDS) - place for place in range(len(THRESHOLDS))],
        "most_per_hour": [1.0 + len(THRESHOLDS) - place for place in range(len(THRESHOLDS))],
        "misses": [[place, 0, 0] for place in range(len(THRESHOLDS))],
    }
    Detection.objects.create(
        run=trained, seconds=7200, keyword_clips=30, other_clips=10, refractory_ms=1000, keywords=WORDS,
        spoken=[100, 100, 0], curves=[{"smoothing_ms": window, **curve} for window in SMOOTHING_MS],
        suggestion={"threshold": 0.25, "smoothing_ms": 100},
    )  # fmt: skip
    Run.objects.filter(pk=trained.pk).update(threshold=0.25, smoothing_ms=100)
    trained.refresh_from_db()
    return trained


@pytest.fixture
def trained(alice: User, workspace: Workspace, project: Project, dataset: Dataset) -> Run:
    """A run that has ended with weights."""
    from runs_app import services

    run = services.create_run(
        workspace=workspace, user=alice, project=project, name="test 1", dataset=dataset, parameters={"steps": 100}
    )
    Run.objects.filter(pk=run.pk).update(
        state=State.SUCCEEDED, finished_at=timezone.now(), progress_done=100, weights_sha256="0" * 64, best_accuracy=0.9
    )
    run.refresh_from_db()
    return run


# --- a dataset with its audio -----------------------------------------------------------------------------------------


@pytest.fixture
def tones(alice: User, workspace: Workspace) -> RawData:
    """Tones as words, and a recording of noise."""
    generator = np.random.default_rng(0)
    time = np.arange(SAMPLES) / RATE
    frequencies = [TONES_HZ[index % 3] * generator.uniform(0.9, 1.1) for index in range(3 * CLIPS_PER_WORD)]
    sounds = [6000 * np.sin(2 * np.pi * frequency * time) for frequency in frequencies]
    samples = np.concatenate([*sounds, np.zeros(NOISE_SECONDS * RATE)])
    samples += 300 * generator.standard_normal(len(samples))
    content = samples.astype("<i2").tobytes()
    sha256 = hashlib.sha256(content).hexdigest()
    storage.put_bytes(f"raw/{sha256}.pcm", content)
    raw_data = RawData.objects.create(
        workspace=workspace, created_by=alice, name="Tones", origin=Origin.UPLOADED, pack=f"raw/{sha256}.pcm",
        pack_sha256=sha256, sample_rate=RATE, median_milliseconds=1000 * SAMPLES // RATE,
        label_counts={word: dict.fromkeys(SPLITS, CLIPS_PER_WORD // 3) for word in HEARD},
    )  # fmt: skip
    RawDataImport.objects.create(
        workspace=workspace, raw_data=raw_data, source=Source.PATH, state=State.SUCCEEDED, finished_at=timezone.now()
    )
    common = {"raw_data": raw_data, "sample_rate": RATE, "peak_dbfs": -15, "rms_dbfs": -18}
    Clip.objects.bulk_create(
        Clip(
            name=f"{index}.wav", label=HEARD[index % 3], split=SPLITS[index // 3 % 3], offset=index * SAMPLES,
            length=SAMPLES, **common,
        )
        for index in range(3 * CLIPS_PER_WORD)
    )  # fmt: skip
    Clip.objects.create(
        name="hiss.wav", label="_background_noise_", split="train", kind=ClipKind.NOISE,
        offset=3 * CLIPS_PER_WORD * SAMPLES, length=NOISE_SECONDS * RATE, **common,
    )  # fmt: skip
    return raw_data


def dataset_of(tones: RawData, **changes: Any) -> Dataset:
    parameters = {"keywords": list(HEARD), "unknown_percentage": 0, "silence_percentage": 50, **changes}
    assert tones.created_by is not None
    return datasets.create_dataset(
        workspace=tones.workspace, user=tones.created_by, raw_data=tones, name=f"Tones {changes}", parameters=parameters
    )
