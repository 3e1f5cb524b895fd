"""Build an artifact: weights to files, files to proof, proof to `artifact.zip`."""

from __future__ import annotations

import hashlib
from pathlib import Path

import edgewise
from datasets_app.models import Dataset
from datasets_app.models import Origin as DataOrigin
from deploy_app.models import Artifact
from edgewise import storage
from edgewise.spec.proof import ProofReport
from runs_app.models import Run
from workers.attempt import Attempt
from workers.engine.data import TrainingData
from workers.engine.errors import EngineError
from workers.engine.weights import TrainedNetwork
from workers.jobs.manifest import read_manifest, training_data
from workers.jobs.stored import stored

LICENCES = {
    DataOrigin.SPEECH_COMMANDS: "Speech Commands (Pete Warden, Google), CC BY 4.0.",
    DataOrigin.SYNTHETIC: "spoken by a program (eSpeak NG); no licence is known to bind them.",
    DataOrigin.UPLOADED: "uploaded by the users of this Edgewise; their licence is what those who made them grant.",
    DataOrigin.RECORDED: "recorded by the users of this Edgewise; their licence is what the speakers grant.",
}


def run(attempt: Attempt) -> None:
    """Build it. The file is stored before the row says so: an attempt that dies between is made again, bit by bit."""
    job = attempt.job
    assert isinstance(job, Artifact)
    attempt.progress(0, 0, "stages", "Reading the weights and the test clips", at_once=True)
    trained = _trained(job)
    with attempt.scratch_folder() as folder:
        _build(attempt, job, trained, _data(job.run, folder), folder)


def _build(attempt: Attempt, job: Artifact, trained: TrainedNetwork, data: TrainingData, folder: Path) -> None:
    attempt.stop_if_asked()

    # TensorFlow takes seconds to import: what can fail without it has failed by now.
    attempt.progress(0, 0, "stages", "Starting TensorFlow", at_once=True)
    from workers.export.artifact import Origin
    from workers.export.build import Refused, build
    from workers.export.finetuning import Lessons
    from workers.export.forms import CALIBRATION_CLIPS, Wishes
    from workers.export.proof import sample

    def report(done: int, total: int, message: str) -> None:
        attempt.stop_if_asked()
        attempt.progress(done, total, "stages", message, at_once=True)

    origin = Origin(
        version=edgewise.__version__,
        run=str(job.run_id),
        dataset=str(job.run.dataset_id),
        revision=job.run.revision,
        weights_sha256=job.weights_sha256,
        seed=job.run.settings.seed,
        data_licence=_licence(job.run.dataset),
    )
    calibration = sample(data.train, trained.clip_samples, CALIBRATION_CLIPS)
    wishes = Wishes(job.options, job.operating_point, calibration, Lessons(data, job.run.settings))
    try:
        built = build(job.format, wishes, trained, data.test, origin, folder / "artifact.zip", report)
    except Refused as refused:
        _tell(attempt, refused.report)
        attempt.write(report=refused.report.model_dump(mode="json"))
        raise
    content = built.path.read_bytes()
    _tell(attempt, built.report)
    storage.put_bytes(job.file_name, content)
    attempt.succeed(
        size=len(content), sha256=hashlib.sha256(content).hexdigest(), accuracy=built.accuracy, message="",
        report=built.report.model_dump(mode="json"),
        progress_done=built.stages, progress_total=built.stages,
    )  # fmt: skip


def _tell(attempt: Attempt, report: ProofReport) -> None:
    """Write each stage to the log."""
    for stage in report.stages:
        if stage.status == "skipped":
            attempt.log(f"{stage.title}: not run, because {stage.reason}.")
        else:
            attempt.log(
                f"{stage.title}: accuracy {stage.accuracy:.2%} on {stage.clips:,} test clips; largest difference of a "
                f"score to the trained network's {stage.score_difference}."
            )


def _licence(dataset: Dataset) -> str:
    words = LICENCES[DataOrigin(dataset.raw_data.origin)]
    noise = LICENCES[DataOrigin(dataset.noise_data.origin)]
    return words if noise == words else f"{words} Background noise: {noise}"


def _trained(job: Artifact) -> TrainedNetwork:
    """Read the weights that were asked for, and no others."""
    if job.run.weights_sha256 != job.weights_sha256:
        raise _other_weights()
    path = stored(job.run.weights_name, job.weights_sha256, f"The file with the weights of “{job.run}”")
    if hashlib.sha256(path.read_bytes()).hexdigest() != job.weights_sha256:
        raise _other_weights()
    trained = TrainedNetwork.load(path)
    if list(trained.labels) != job.run.labels:
        raise EngineError(
            "labels-differ",
            f"The weights were trained for the labels {', '.join(trained.labels)}, but the run is for "
            f"{', '.join(job.run.labels)}.",
            "Train the run again.",
        )
    return trained


def _other_weights() -> EngineError:
    return EngineError(
        "weights-changed",
        "The run has other weights now than when this artifact was asked for.",
        "Go back to the Deploy page and download the model again.",
    )


def _data(trained_run: Run, folder: Path) -> TrainingData:
    return training_data(trained_run.dataset, read_manifest(trained_run), folder)
