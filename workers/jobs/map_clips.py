"""Lay the words of raw data out in the plane, as the network of a run hears them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.db.models.functions import MD5

from datasets_app.models import ClipKind
from datasets_app.revisions import DataRevision
from runs_app.models import ClipMap
from workers.attempt import Attempt
from workers.engine.data import Clips
from workers.engine.errors import EngineError
from workers.engine.weights import TrainedNetwork
from workers.jobs.manifest import mapped
from workers.jobs.stored import stored

FEWEST_CLIPS = 20
STAGES = 3
DECIMALS = 2


def run(attempt: Attempt) -> None:
    """Write the points with the end of the job, so that a map is there completely or not at all."""
    job = attempt.job
    assert isinstance(job, ClipMap)
    attempt.progress(0, STAGES, "stages", "Reading the clips", at_once=True)
    rows = _words(job)
    if len(rows) < FEWEST_CLIPS:
        raise EngineError(
            "few-clips", f"A map needs at least {FEWEST_CLIPS} words, and there are {len(rows)}.", "Add more clips."
        )
    weights = stored(job.run.weights_name, job.run.weights_sha256, f"The file with the weights of “{job.run}”")
    network = TrainedNetwork.load(weights)
    with attempt.scratch_folder() as folder:
        points = _points(attempt, network, _clips(job, rows, network, folder))
    attempt.succeed(
        points={"clips": [str(row[0]) for row in rows], **points}, clip_count=len(rows), message="",
        weights_sha256=job.run.weights_sha256, progress_done=STAGES, progress_total=STAGES,
    )  # fmt: skip


def _words(job: ClipMap) -> list[tuple[Any, ...]]:
    """Id, offset, length and rate of the words; of too many, always the same ones, drawn by their names."""
    clips = DataRevision.of(job.run.dataset).clips().filter(kind=ClipKind.WORD, excluded=False)
    drawn = clips.order_by(MD5("name"), "pk")[: ClipMap.MOST_CLIPS]
    return list(drawn.values_list("pk", "offset", "length", "sample_rate"))


def _clips(job: ClipMap, rows: list[tuple[Any, ...]], network: TrainedNetwork, folder: Path) -> Clips:
    raw_data = job.run.dataset.raw_data
    pack = stored(raw_data.pack, raw_data.pack_sha256, f"The audio of “{raw_data}”")
    stretches = [(offset, length, rate) for _, offset, length, rate in rows]
    return mapped(pack, stretches, [0] * len(rows), network.preprocessing.sample_rate, folder)


def _points(attempt: Attempt, network: TrainedNetwork, clips: Clips) -> dict[str, Any]:
    attempt.stop_if_asked()
    attempt.progress(1, STAGES, "stages", "Listening to the clips", at_once=True)
    # Keras takes seconds to import: what can fail without it has failed by now.
    from workers.engine.embedding import embeddings, projection, surroundings

    heard = embeddings(network, clips)
    attempt.stop_if_asked()
    attempt.progress(2, STAGES, "stages", "Drawing the map", at_once=True)
    around, places = surroundings(heard), projection(heard).round(DECIMALS)
    return {
        "x": places[:, 0].tolist(), "y": places[:, 1].tolist(), "nearest": around.nearest.tolist(),
        "is_far": around.is_far.tolist(),
    }  # fmt: skip
