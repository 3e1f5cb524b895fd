"""Make training examples to be heard and seen: what `BatchSource` gives to training, by the same code."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np

from datasets_app.models import Clip
from edgewise import storage
from edgewise.wav import wav_header
from runs_app.models import Preview
from workers.attempt import Attempt
from workers.engine.batches import BatchSource, Examples, FloatArray
from workers.engine.data import TrainingData, require_clips
from workers.engine.pictures import feature_pictures
from workers.jobs.manifest import Manifest, make_manifest, recording, training_data

LOUDEST = 32767


def run(attempt: Attempt) -> None:
    """Store sounds and pictures before the row says so: an attempt that dies between is made again, bit by bit."""
    job = attempt.job
    assert isinstance(job, Preview)
    attempt.progress(0, job.SIZE, "examples", "Reading the clips", at_once=True)
    manifest = make_manifest(job.dataset, job)
    with attempt.scratch_folder() as folder:
        data = training_data(job.dataset, manifest, folder)
        require_clips(data)
        attempt.stop_if_asked()
        examples = first_examples(BatchSource(data, job.settings), job.step, job.SIZE)
    pictures = feature_pictures(examples.features, cepstral=job.settings.dct_num_features > 0)
    for number, (audio, picture) in enumerate(zip(examples.audio, pictures, strict=True)):
        storage.put_bytes(job.audio_name(number), _wav(audio, data.sample_rate))
        storage.put_bytes(job.picture_name(number), picture)
    attempt.succeed(examples=_described(manifest, data, examples), progress_done=job.SIZE, message="")


def first_examples(source: BatchSource, step: int, count: int) -> Examples:
    """Return the first `count` examples of the batch of a step and, where that is small, of the steps after it."""
    batches = [source.examples(step)]
    while sum(len(batch.rows) for batch in batches) < count:
        batches.append(source.examples(step + len(batches)))
    columns = {field.name: [getattr(batch, field.name) for batch in batches] for field in fields(Examples)}
    return Examples(**{name: np.concatenate(parts)[:count] for name, parts in columns.items()})


def _wav(audio: FloatArray, sample_rate: int) -> bytes:
    """Write sound as 16-bit wav. What is louder than full scale, which the network hears well, is clipped."""
    samples = np.clip(np.rint(32768 * audio), -LOUDEST, LOUDEST).astype("<i2")
    return wav_header(len(samples), sample_rate) + samples.tobytes()


def _described(manifest: Manifest, data: TrainingData, examples: Examples) -> list[dict[str, Any]]:
    clips = [recording(manifest, data, data.train, int(row))[0] for row in examples.rows]
    rows = Clip.objects.filter(pk__in=[clip for clip in clips if clip]).values_list("pk", "name")
    names = {str(clip): name for clip, name in rows}
    return [
        {"label": data.labels[label], "clip": clip, "name": names.get(clip or "", "")}
        for label, clip in zip(examples.labels, clips, strict=True)
    ]
