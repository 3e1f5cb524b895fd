"""Make clips of the takes of a microphone: a new pack with the old one as its beginning, and rows behind the old rows.

Old clips keep their row, their place in the pack and their split. A take becomes a clip with the same id.
"""

from __future__ import annotations

import numpy as np
from django.core.files.storage import default_storage
from django.db import transaction

from datasets_app.models import Clip, ClipKind, FileProblem, RawData, RawDataImport, Split, Take
from edgewise import storage
from edgewise.jobs import services
from workers.attempt import Attempt
from workers.database import retrying
from workers.engine.audio import PackWriter, Recording, UnusableAudio, decode
from workers.jobs.summary import ClipFacts, summarize

BLOCK_SAMPLES = 2**20
HELD_OUT = {4: Split.VALIDATION, 9: Split.TEST}
"""Which clips of each ten of a label are held out of training."""


def assemble(attempt: Attempt, job: RawDataImport) -> None:
    """Do the job. An attempt that dies changes nothing: rows and the name of the pack appear together."""
    raw_data = job.raw_data
    takes = list(raw_data.takes.all())
    clips: list[Clip] = []
    problems: list[FileProblem] = []
    with attempt.scratch_folder() as folder:
        with PackWriter(folder) as pack:
            _copy_pack(raw_data, pack)
            for number, take in enumerate(takes):
                attempt.stop_if_asked()
                attempt.progress(number + 1, len(takes), "clips")
                try:
                    clips.append(_clip(take, pack))
                except UnusableAudio as error:
                    problems.append(_problem(take, error))
        name = f"raw/{pack.sha256}.pcm"
        storage.adopt_file(name, pack.path)
    _divide(raw_data, clips)
    retrying(lambda: _write(job, name, pack.sha256, clips, problems, takes))
    for take in takes:
        default_storage.delete(take.file_name)


def _copy_pack(raw_data: RawData, pack: PackWriter) -> None:
    if not raw_data.pack:
        return
    path = storage.local_path(raw_data.pack, raw_data.pack_sha256)
    samples = np.memmap(path, dtype="<i2", mode="r")
    for start in range(0, len(samples), BLOCK_SAMPLES):
        pack.append(samples[start : start + BLOCK_SAMPLES])


def _clip(take: Take, pack: PackWriter) -> Clip:
    recording = _read(take)
    return Clip(
        id=take.pk, raw_data=take.raw_data, name=take.clip_name, kind=take.kind, label=take.label, speaker=take.speaker,
        split=Split.TRAIN, offset=pack.append(recording.samples), length=len(recording.samples),
        sample_rate=recording.sample_rate, peak_dbfs=recording.peak_dbfs, rms_dbfs=recording.rms_dbfs,
    )  # fmt: skip


def _read(take: Take) -> Recording:
    try:
        with default_storage.open(take.file_name) as file:
            return decode(file.read())
    except FileNotFoundError as error:
        raise UnusableAudio("file-missing", "The take is not in the store any more.", "Record it again.") from error


def _problem(take: Take, error: UnusableAudio) -> FileProblem:
    return FileProblem(
        raw_data=take.raw_data, name=take.clip_name, code=error.code, reason=error.reason, remedy=error.remedy
    )


def _divide(raw_data: RawData, clips: list[Clip]) -> None:
    """Hold out one clip of ten of each word for validation and one for the test, in the order of recording.

    By clip: with one or two people there is no other way, and a clip never changes its part when more people come.
    Where enough people were recorded, the form of a dataset proposes to divide by speaker instead.
    """
    words = [clip for clip in clips if clip.kind == ClipKind.WORD]
    recorded = {label: sum(splits.values()) for label, splits in raw_data.label_counts.items()}
    for clip in words:
        number = recorded.get(clip.label, 0)
        clip.split = HELD_OUT.get(number % 10, Split.TRAIN)
        recorded[clip.label] = number + 1


def _write(
    job: RawDataImport, pack: str, sha256: str, clips: list[Clip], problems: list[FileProblem], takes: list[Take]
) -> None:
    raw_data = RawData.objects.get(pk=job.raw_data_id)
    with transaction.atomic():
        services.succeed(job, message="", progress_done=len(takes), progress_total=len(takes), progress_unit="clips")
        Clip.objects.bulk_create(clips)
        FileProblem.objects.bulk_create(problems)
        Take.objects.filter(pk__in=[take.pk for take in takes]).delete()
        if raw_data.pack and raw_data.pack != pack:
            raw_data.earlier_packs.append(raw_data.pack)
        raw_data.pack, raw_data.pack_sha256 = pack, sha256
        raw_data.problem_count = raw_data.problems.count()
        rows = raw_data.clips.values_list("kind", "label", "split", "length", "sample_rate")
        summarize(raw_data, map(ClipFacts._make, rows))
        raw_data.save()
