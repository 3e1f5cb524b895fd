"""People, data and runs in every state, so that each page has something to show.

`python -m tests.browser.world` writes them into the database and prints a `World` as JSON.
"""

from __future__ import annotations

import base64
import datetime
import hashlib
import json
import math
import struct
from dataclasses import asdict, dataclass
from typing import Any

import django

if __name__ == "__main__":
    django.setup()

from django.core.files.base import ContentFile
from django.utils import timezone

from datasets_app.models import Clip, Dataset, FileProblem, Finding, Origin, RawData, RawDataImport, Source, Split
from datasets_app.recording.services import add_take, begin_recording
from deploy_app import try_views
from deploy_app.models import Artifact
from edgewise.accounts.models import User, Workspace
from edgewise.accounts.services import create_token, give_personal_workspace
from edgewise.jobs.models import LogLine, State
from edgewise.spec.dataset import DatasetParameters
from edgewise.spec.detection import SMOOTHING_MS, THRESHOLDS
from edgewise.spec.network import NETWORKS
from edgewise.spec.quality import FindingCode
from edgewise.spec.run import DECIDE_BATCHES, RunParameters
from edgewise.storage import put_bytes
from edgewise.wav import wav_header
from runs_app.models import ClipMap, Detection, Evaluation, Metric, Prediction, Preview, Project, Run, Series

PASSWORD = "correct horse battery"
WORDS = ["up", "down", "left", "right", "stop", "yes", "no", "go"]
KEYWORDS = WORDS[:5]
NETWORK = "kws-small"
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="


PAGES = {
    "datasets": "/datasets/",
    "raw data": "/datasets/raw/{raw_data}/",
    "clips": "/datasets/raw/{raw_data}/clips",
    "map": "/datasets/raw/{raw_data}/map?run={finished}",
    "edits": "/datasets/raw/{raw_data}/edits",
    "dataset": "/datasets/{dataset}/",
    "examples": "/datasets/{dataset}/?preview={examples}",
    "new dataset without scripts": "/datasets/raw/{raw_data}/new",
    "synthesize without scripts": "/datasets/synthesize",
    "begin recording without scripts": "/datasets/record",
    "record": "/datasets/raw/{recording}/record",
    "runs": "/runs/",
    "new run": "/runs/new?project={project}",
    "configuration": "/runs/{finished}/configuration",
    "progress": "/runs/{running}/progress",
    "progress before the first step": "/runs/{queued}/progress",
    "results": "/runs/{finished}/results",
    "no results": "/runs/{running}/results",
    "try": "/runs/{finished}/try",
    "deploy": "/runs/{finished}/deploy",
    "account": "/account/",
    "e-mail": "/accounts/email/",
    "password": "/accounts/password/change/",
    "sessions": "/accounts/sessions/",
    "not found": "/nowhere",
}
"""Pages that a person who signed in can open, by name, with fields of `World` in their addresses."""


@dataclass(frozen=True)
class World:
    """Who and what there is: e-mails of people, ids of rows."""

    reader: str
    newcomer: str
    operator: str
    workspace: str
    raw_data: str
    recording: str
    dataset: str
    examples: str
    project: str
    finished: str
    running: str
    queued: str
    stopping: str
    """A running run, for a test that cancels it."""

    @property
    def pages(self) -> dict[str, str]:
        """The addresses of PAGES."""
        return {name: address.format_map(asdict(self)) for name, address in PAGES.items()}


def build_world() -> World:
    """Fill the database."""
    operator = User.objects.create_superuser("operator@example.org", PASSWORD)
    give_personal_workspace(operator)
    newcomer = User.objects.create_user("newcomer@example.org", PASSWORD)
    reader = User.objects.create_user("reader@example.org", PASSWORD, name="Rita Reader")
    workspace = give_personal_workspace(reader)
    owned = {"workspace": workspace, "created_by": reader}
    raw_data = _raw_data(owned, "Kitchen words", State.SUCCEEDED, clip_count=800, problem_count=1)
    FileProblem.objects.create(
        raw_data=raw_data, name="up/0a.wav", code="broken", reason="It ends too soon.", remedy="Record it again."
    )
    recording = _recording(workspace, reader)
    _raw_data(owned, "Half imported", State.RUNNING)
    _raw_data(owned, "Not audio", State.FAILED)
    dataset = _dataset(owned, raw_data)
    project = Project.objects.create(**owned, name="Kitchen timer")
    runs = {state: _run(owned, project, dataset, f"Run that is {state}", state) for state in State}
    stopping = _run(owned, project, dataset, "Run to be cancelled", State.RUNNING)
    _evaluate(runs[State.SUCCEEDED], raw_data)
    _map(runs[State.SUCCEEDED], raw_data)
    measure_detection(runs[State.SUCCEEDED])
    Artifact.objects.create(
        **owned, run=runs[State.SUCCEEDED], format="binary", weights_sha256="a" * 64, size=123_456, sha256="b" * 64,
        threshold=0.5, smoothing_ms=0, accuracy=0.98, state=State.SUCCEEDED, started_at=_ago(3), finished_at=_ago(2),
    )  # fmt: skip
    Artifact.objects.create(
        **owned, run=runs[State.SUCCEEDED], format=try_views.FORMAT, options=try_views.OPTIONS, weights_sha256="a" * 64,
        size=123_456, sha256="c" * 64, threshold=0.62, smoothing_ms=200, **_times(State.SUCCEEDED),
    )  # fmt: skip
    create_token(reader, workspace, "Nightly training")
    preview = _preview(owned, dataset)
    rows = (
        workspace, raw_data, recording, dataset, preview, project,
        runs[State.SUCCEEDED], runs[State.RUNNING], runs[State.QUEUED], stopping,
    )  # fmt: skip
    return World(reader.email, newcomer.email, operator.email, *(str(row.pk) for row in rows))


def _ago(minutes: float) -> datetime.datetime:
    return timezone.now() - datetime.timedelta(minutes=minutes)


def _times(state: State) -> dict[str, Any]:
    """Times that the database's constraints ask of a job in this state."""
    times: dict[str, Any] = {"state": state, "started_at": None if state == State.QUEUED else _ago(20)}
    if state in (State.SUCCEEDED, State.FAILED, State.CANCELLED):
        times["finished_at"] = _ago(5)
    if state == State.RUNNING:
        # No worker holds it: the lease is so long that recovery leaves it alone.
        times["lease_until"] = timezone.now() + datetime.timedelta(days=1)
    if state == State.FAILED:
        times |= {"failure_reason": "There was no room left.", "failure_remedy": "Free some, then press Resume."}
    return times


def _raw_data(owned: dict[str, Any], name: str, state: State, **fields: Any) -> RawData:
    counts = {word: {"train": 80, "validation": 10, "test": 10} for word in WORDS}
    row = RawData.objects.create(**owned, name=name, origin=Origin.UPLOADED, seconds=800, label_counts=counts, **fields)
    RawDataImport.objects.create(
        workspace=owned["workspace"], raw_data=row, source=Source.UPLOAD, progress_done=300, progress_total=800,
        progress_unit="clips", **_times(state),
    )  # fmt: skip
    return row


def _recording(workspace: Workspace, user: User) -> RawData:
    """Two takes that wait, and a word of which there is none."""
    parameters = {"words": ["light on", "kettle"], "clips_per_word": 2}
    raw_data = begin_recording(workspace=workspace, user=user, name="Recorded words", parameters=parameters)
    for _ in range(2):
        content = wav_header(16000, 16000) + bytes(32000)
        add_take(raw_data=raw_data, user=user, file=ContentFile(content), label="light on", speaker="Rita")
    return raw_data


def _dataset(owned: dict[str, Any], raw_data: RawData) -> Dataset:
    parameters = DatasetParameters(keywords=KEYWORDS)
    counts = [[label, {"train": 80, "validation": 10, "test": 10}] for label in parameters.labels]
    return Dataset.objects.create(
        **owned, raw_data=raw_data, name="Timer words", parameters=parameters.model_dump(mode="json"), counts=counts
    )


def _preview(owned: dict[str, Any], dataset: Dataset) -> Preview:
    """Ten examples: the same tone, and a picture of one pixel."""
    parameters = RunParameters().model_dump(mode="json", include=DECIDE_BATCHES)
    clip = {"clip": None, "name": "_background_noise_/a_recording_whose_name_is_long.wav"}
    preview = Preview.objects.create(
        **owned, dataset=dataset, parameters=parameters, step=0, **_times(State.SUCCEEDED),
        examples=[{"label": dataset.labels[n % len(dataset.labels)], **clip} for n in range(Preview.SIZE)],
    )  # fmt: skip
    for number in range(Preview.SIZE):
        put_bytes(preview.audio_name(number), wav_header(16000, 16000) + _tone())
        put_bytes(preview.picture_name(number), base64.b64decode(PIXEL))
    return preview


def _run(owned: dict[str, Any], project: Project, dataset: Dataset, name: str, state: State) -> Run:
    parameters = RunParameters(network=NETWORK, steps=1000, validation_interval=100, **NETWORKS[NETWORK].defaults)
    done = {State.QUEUED: 0, State.SUCCEEDED: 1000}.get(state, 400)
    run = Run.objects.create(
        **owned, project=project, dataset=dataset, name=name, parameters=parameters.model_dump(mode="json"),
        labels=dataset.labels, progress_done=done, progress_total=1000, progress_unit="steps", **_times(state),
    )  # fmt: skip
    LogLine.objects.bulk_create(LogLine(job_id=run.pk, attempt=1, text=f"Line {number}") for number in range(30))
    points = [_point(run, Series.TRAINING, step) for step in range(10, done + 1, 10)]
    points += [_point(run, Series.VALIDATION, step) for step in range(100, done + 1, 100)]
    Metric.objects.bulk_create(points)
    if done:
        Run.objects.filter(pk=run.pk).update(best_step=done, best_accuracy=points[-1].accuracy, weights_sha256="a" * 64)
        run.refresh_from_db()
    return run


def _point(run: Run, series: Series, step: int) -> Metric:
    accuracy = 1 - math.exp(-step / 200)
    return Metric(
        run=run, series=series, step=step, loss=2 * (1 - accuracy) + 0.1, accuracy=accuracy, learning_rate=0.001,
        steps_per_second=25.0,
    )  # fmt: skip


def _evaluate(run: Run, raw_data: RawData) -> None:
    pcm = _tone()
    name = f"raw/{hashlib.sha256(pcm).hexdigest()}.pcm"
    put_bytes(name, pcm)
    RawData.objects.filter(pk=raw_data.pk).update(pack=name, pack_sha256=hashlib.sha256(pcm).hexdigest())
    size = len(run.labels)
    confusion = [[10 if i == j else int((i, j) == (2, 3)) for j in range(size)] for i in range(size)]
    labels = [
        {"label": label, "precision": 0.9, "recall": 0.95, "f1": 0.92, "support": sum(confusion[index])}
        for index, label in enumerate(run.labels)
    ]
    Evaluation.objects.create(
        run=run, clips=sum(map(sum, confusion)), accuracy=0.98, balanced_accuracy=0.97, loss=0.12, confusion=confusion,
        report={"intervals": {"accuracy": [0.95, 0.99]}, "labels": labels},
    )  # fmt: skip
    clip = Clip.objects.create(
        raw_data=raw_data, name="up/0b.wav", label="up", split=Split.TEST, offset=0, length=16000, sample_rate=16000,
        peak_dbfs=-3, rms_dbfs=-20,
    )  # fmt: skip
    for number in range(4):
        Clip.objects.create(
            raw_data=raw_data, name=f"yes/{number}.wav", label="yes", split=Split.TRAIN, offset=0, length=8000,
            sample_rate=16000, peak_dbfs=-3, rms_dbfs=-20, speaker="anna",
        )  # fmt: skip
    Finding.objects.create(raw_data=raw_data, clip=clip, code=FindingCode.WRONG_LABEL, suggestion=WORDS[1], score=0.9)
    Finding.objects.create(raw_data=raw_data, clip=clip, code=FindingCode.SPEAKER_IN_SEVERAL_SPLITS)
    scores = [0.6 if index == 3 else 0.4 / (size - 1) for index in range(size)]
    Prediction.objects.create(run=run, clip=clip, offset=0, length=16000, label=2, predicted=3, scores=scores)


def _tone() -> bytes:
    """A second at 440 Hz, as samples."""
    tone = [int(8000 * math.sin(2 * math.pi * 440 * n / 16000)) for n in range(16000)]
    return struct.pack(f"<{len(tone)}h", *tone)


def _map(run: Run, raw_data: RawData) -> None:
    """Four clips in the corners of a square and one in their middle, which has another label than they."""
    clips = list(raw_data.clips.order_by("-label").values_list("pk", flat=True))
    middle = len(clips) - 1
    nearest = [[other for other in range(len(clips)) if other != place] for place in range(len(clips))]
    points = {
        "clips": [str(pk) for pk in clips], "x": [0, 0, 2, 2, 1], "y": [0, 2, 0, 2, 1], "nearest": nearest,
        "is_far": [place == middle for place in range(len(clips))],
    }  # fmt: skip
    ClipMap.objects.create(
        workspace=run.workspace, run=run, clip_count=len(clips), points=points, weights_sha256=run.weights_sha256,
        **_times(State.SUCCEEDED),
    )  # fmt: skip


def measure_detection(run: Run) -> None:
    """Two hours of audio: the higher the threshold, the fewer false accepts and the more misses."""
    keywords = [label for label in run.labels if not label.startswith("<")]
    curves = []
    for window in SMOOTHING_MS:
        accepts = [int(3000 * math.exp(-9 * threshold * (1 + window / 1000))) for threshold in THRESHOLDS]
        misses = [
            [4 - index // 2 + int(36 * threshold ** (6 + index - window / 200)) for index, _ in enumerate(keywords)]
            for threshold in THRESHOLDS
        ]
        most = [(count + 3) / 2 for count in accepts]
        curves.append({"smoothing_ms": window, "false_accepts": accepts, "most_per_hour": most, "misses": misses})
    Detection.objects.create(
        run=run, seconds=7200, keyword_clips=50, other_clips=12, refractory_ms=1000, keywords=keywords,
        spoken=[40] * len(keywords), curves=curves, suggestion={"threshold": 0.62, "smoothing_ms": 200},
    )  # fmt: skip
    Run.objects.filter(pk=run.pk).update(threshold=0.62, smoothing_ms=200)


if __name__ == "__main__":
    print(json.dumps(asdict(build_world())))
