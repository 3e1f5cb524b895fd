"""Lists of clips, and the clips behind them: what a run trains on stays as it was when the run began."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from datasets_app import recipe
from datasets_app.models import AtRevision, Dataset
from datasets_app.revisions import DataRevision
from edgewise.spec.dataset import SILENCE, SPLITS
from runs_app.models import Run
from workers.engine.audio import resampled_pack
from workers.engine.data import SAMPLE_BYTES, Clips, TrainingData, cut_silence, generated_noise, join
from workers.engine.errors import EngineError
from workers.jobs.stored import stored

Manifest = dict[str, Any]
Stretch = tuple[int, int, int]
"""Offset and length in samples, and the rate."""


def read_manifest(job: Run) -> Manifest:
    """Read the stored list of a run's clips.

    Raises:
        EngineError: it is missing or damaged.
    """
    content = stored(job.manifest_name, job.manifest_sha256, "The list of the run's clips").read_bytes()
    if hashlib.sha256(content).hexdigest() != job.manifest_sha256:
        raise EngineError(
            "damaged-manifest",
            "The list of the run's clips is not as it was written.",
            "Restore the store from a backup, or start the run again as a new one.",
        )
    return dict(json.loads(content))


def make_manifest(dataset: Dataset, at: AtRevision) -> Manifest:
    """List a dataset's clips at the revisions of a run, a preview, or the dataset itself.

    Rows are id, offset, length and sample rate of each clip, and label and split of each that is no noise.
    """
    raw_data, noise_data = dataset.raw_data, dataset.noise_data
    data = DataRevision.of(dataset, at.revision)
    members = [
        [str(one.clip_id), one.offset, one.length, one.sample_rate, one.label, SPLITS.index(one.split)]
        for one in recipe.members(data, dataset.recipe)
    ]
    recordings = recipe.noise(DataRevision.of_noise(dataset, at.noise_revision), dataset.recipe)
    noise = [[str(clip.pk), clip.offset, clip.length, clip.sample_rate] for clip in recordings]
    counts = dict(recipe.label_counts(data, dataset.recipe))
    return {
        "pack": raw_data.pack,
        "sha256": raw_data.pack_sha256,
        "clips": sorted(members),
        "noise_pack": noise_data.pack,
        "noise_sha256": noise_data.pack_sha256,
        "noise": sorted(noise),
        "silence": counts.get(SILENCE, {}),
    }


def training_data(dataset: Dataset, manifest: Manifest, folder: Path) -> TrainingData:
    """Make the tables of a manifest's clips.

    Args:
        dataset: gives labels, rate and length of the clips.
        manifest: lists the clips.
        folder: takes the samples that are not in the pack: resampled clips, and noise where the data has none.

    Raises:
        EngineError: the samples are missing.
    """
    chosen = dataset.recipe
    clips, noise = manifest["clips"], manifest["noise"]
    pack = stored(manifest["pack"], manifest["sha256"], f"The audio of “{dataset.raw_data}”")
    table = mapped(pack, _stretches(clips), [row[4] for row in clips], chosen.sample_rate, folder)
    pack = stored(manifest["noise_pack"], manifest["noise_sha256"], f"The audio of “{dataset.noise_data}”")
    noises = mapped(pack, _stretches(noise), [0] * len(noise), chosen.sample_rate, folder)
    if not len(noises):
        noises = generated_noise(folder, chosen.sample_rate)
    splits = np.array([clip[5] for clip in clips])
    found = {name: table.select(np.flatnonzero(splits == index)) for index, name in enumerate(SPLITS)}
    if SILENCE in chosen.labels:
        label = chosen.labels.index(SILENCE)
        silence = cut_silence(noises, manifest["silence"], label, chosen.clip_samples, chosen.seed)
        found = {name: join(found[name], silence[name]) for name in SPLITS}
    return TrainingData(
        tuple(chosen.labels), chosen.sample_rate, chosen.clip_samples, found["train"], found["validation"],
        found["test"], noises,
    )  # fmt: skip


def recording(manifest: Manifest, data: TrainingData, clips: Clips, row: int) -> tuple[str | None, int, int]:
    """Return the recording, and the stretch of it (at its own rate), that a row of one of the splits is.

    There is no recording behind generated noise.
    """
    origin = int(clips.origin[row])
    if data.labels[clips.label[row]] != SILENCE:
        clip = manifest["clips"][origin]
        return clip[0], 0, clip[2]
    if not manifest["noise"]:
        return None, 0, 0
    noise = manifest["noise"][origin]
    scale = noise[3] / data.sample_rate
    offset = int((clips.offset[row] - data.noise.offset[origin]) * scale)
    return noise[0], offset, int(clips.length[row] * scale)


def _stretches(rows: list[list[Any]]) -> list[Stretch]:
    return [(row[1], row[2], row[3]) for row in rows]


def mapped(pack: Path, stretches: list[Stretch], labels: list[int], sample_rate: int, folder: Path) -> Clips:
    """Make a table of stretches (offset, length, rate) of a pack, resampled into `folder` where a rate differs."""
    _require_samples(pack, stretches)
    places = [(offset, length) for offset, length, _ in stretches]
    if any(rate != sample_rate for _, _, rate in stretches):
        pack, places = resampled_pack(pack, stretches, sample_rate, folder)
    return Clips.of((pack,), [(0, *place, label) for place, label in zip(places, labels, strict=True)])


def _require_samples(pack: Path, stretches: list[Stretch]) -> None:
    needed = max((offset + length for offset, length, _ in stretches), default=0)
    there = pack.stat().st_size // SAMPLE_BYTES
    if there < needed:
        raise EngineError(
            "damaged-audio",
            f"The audio of the raw data is damaged: {there:,} of {needed:,} samples are in {pack.name}.",
            "Restore the store from a backup, or import the raw data again.",
        )
