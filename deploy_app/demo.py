"""The main job without a browser: recordings, dataset, run, results, artifacts, by the services of the pages."""

from __future__ import annotations

import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.core.files import File
from django.utils import timezone
from pydantic import ValidationError

from datasets_app import services as datasets
from datasets_app.models import Dataset, RawData
from deploy_app import services
from deploy_app.models import Artifact
from edgewise import storage
from edgewise.accounts.models import User
from edgewise.accounts.services import first_administrator, give_personal_workspace
from edgewise.errors import Conflict, Invalid
from edgewise.jobs.follow import follow
from edgewise.jobs.models import Job, State
from edgewise.jobs.services import request_cancel
from edgewise.spec.fields import explain
from edgewise.spec.run import RunParameters
from runs_app import services as runs
from runs_app.models import Run

WORDS = ["up", "down", "left", "right", "stop"]
STEPS = 1000
VALIDATIONS = 10
MOST_KEYWORDS = 5


class Unfinished(Exception):
    """A job of the demo failed or was cancelled."""


@dataclass(frozen=True)
class Wishes:
    """What the demo was asked for. Without `audio` it speaks its words itself."""

    audio: Path | None
    keywords: list[str]
    network: str
    steps: int


def demonstrate(wishes: Wishes) -> dict[str, Any]:
    """Do the main job and return its results, as `demo --json` prints them.

    Raises:
        UserError: something was asked for that cannot be.
        Unfinished: a job did not succeed.
    """
    begin = time.monotonic()
    parameters = _checked(wishes)
    name = f"Demo {timezone.localtime():%Y-%m-%d %H:%M:%S}"
    # Whose pages then show the demo, even if the first `up` comes after it.
    user = first_administrator()
    raw_data = _raw_data(user, name, wishes)
    dataset = _dataset(user, name, raw_data, wishes.keywords)
    run = _run(user, name, dataset, parameters)
    artifacts = _artifacts(user, run)
    results = run.evaluation
    return {
        "test_accuracy": results.accuracy,
        "balanced_accuracy": results.balanced_accuracy,
        "validation_accuracy": run.best_accuracy,
        "labels": run.labels,
        "steps": run.settings.steps,
        "training_seconds": round(run.training_seconds, 1),
        "seconds": round(time.monotonic() - begin, 1),
        "run": str(run.pk),
        "artifacts": {artifact.format: str(_path(artifact)) for artifact in artifacts},
    }


def _checked(wishes: Wishes) -> dict[str, Any]:
    """Check what would otherwise be found wrong only after the import."""
    interval = min(max(1, wishes.steps // VALIDATIONS), 1_000_000)
    parameters = {"network": wishes.network, "steps": wishes.steps, "validation_interval": interval}
    try:
        RunParameters.model_validate(parameters)
    except ValidationError as error:
        raise Invalid(explain(error, RunParameters)) from error
    if wishes.audio and not wishes.audio.exists():
        raise Invalid({"audio": f"There is no file or folder {wishes.audio}."}, remedy="Check the path.")
    return parameters


def _raw_data(user: User, name: str, wishes: Wishes) -> RawData:
    workspace = give_personal_workspace(user)
    if wishes.audio is None:
        words = wishes.keywords or WORDS
        raw_data = datasets.synthesize(workspace=workspace, user=user, name=name, parameters={"keywords": words})
        title = f"Speaking {', '.join(words)}"
    else:
        with _archive(wishes.audio) as path, path.open("rb") as file:
            raw_data = datasets.import_archive(
                workspace=workspace, user=user, name=name, file=File(file), file_name=path.name
            )
        title = f"Importing {wishes.audio.name}"
    _finish(raw_data.import_job, title)
    raw_data.refresh_from_db()
    return raw_data


@contextmanager
def _archive(audio: Path) -> Iterator[Path]:
    """Pack a folder, as a user would who uploads it."""
    if audio.is_file():
        yield audio
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{audio.resolve().name}.tar"
        with tarfile.open(path, "w") as archive:
            archive.add(audio, arcname=".")
        yield path


def _dataset(user: User, name: str, raw_data: RawData, keywords: list[str]) -> Dataset:
    parameters = {**datasets.prefill(raw_data)["parameters"], "keywords": keywords or _keywords(raw_data)}
    if set(raw_data.label_counts) <= set(parameters["keywords"]):
        parameters["unknown_percentage"] = 0  # no other word is left
    return datasets.create_dataset(
        workspace=raw_data.workspace, user=user, raw_data=raw_data, name=name, parameters=parameters
    )


def _keywords(raw_data: RawData) -> list[str]:
    """The words that were spoken to be detected, or the most frequent ones."""
    if raw_data.synthetic:
        return list(raw_data.import_job.options["keywords"])
    clips = {word: sum(splits.values()) for word, splits in raw_data.label_counts.items()}
    return sorted(clips, key=lambda word: (-clips[word], word))[:MOST_KEYWORDS]


def _run(user: User, name: str, dataset: Dataset, parameters: dict[str, Any]) -> Run:
    project = runs.create_project(workspace=dataset.workspace, user=user, name=name)
    run = runs.create_run(
        workspace=dataset.workspace, user=user, project=project, name=name, dataset=dataset, parameters=parameters
    )
    _finish(run, f"Training {run.settings.network_spec.title} on {len(dataset.labels)} labels")
    return Run.objects.select_related("evaluation").get(pk=run.pk)


def _artifacts(user: User, run: Run) -> list[Artifact]:
    rows = [row for row in services.formats() if row.unmet() is None]
    artifacts = [services.request_artifact(run=run, user=user, format=row.name) for row in rows]
    for artifact, row in zip(artifacts, rows, strict=True):
        _finish(artifact, f"Building {row.title}")
    return artifacts


def _finish(job: Job, title: str) -> None:
    try:
        follow(job, title)
    except KeyboardInterrupt:
        # What nobody waits for any more shall not keep the workers busy.
        with suppress(Conflict):
            request_cancel(job)
        raise
    if job.state != State.SUCCEEDED:
        raise Unfinished(f"{job.failure_reason or job.message or job.state} {job.failure_remedy}".strip())


def _path(artifact: Artifact) -> Path:
    return storage.local_path(artifact.file_name, artifact.sha256).resolve()
