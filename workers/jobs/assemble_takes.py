"""Make clips of the takes of a microphone: a new pack with the old one as its beginning, and rows behind the old rows.

Old clips keep their row, their place in the pack and their split. A take becomes a clip with the same id.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from django.core.files.storage import default_storage
from django.db import transaction

from datasets_app.models import Clip, ClipKind, FileProblem, RawData, RawDataImport, Split, Take
from datasets_app.services import count_new_clips
from edgewise import storage
from edgewise.jobs import services
from edgewise.spec.quality import FindingCode
from workers.attempt import Attempt
from workers.database import retrying
from workers.engine.audio import PackWriter, Recording, UnusableAudio, decode
from workers.engine.errors import EngineError
from workers.engine.ingest import IngestedClip
from workers.engine.quality.check import Finding as Noticed
from workers.engine.quality.check import check
from workers.jobs.noticed import replace_findings
from workers.jobs.stored import stored
from workers.jobs.summary import ClipFacts, summarize

BLOCK_SAMPLES = 2**20
HELD_OUT = {4: Split.VALIDATION, 9: Split.TEST}
"""Which clips of each ten of a label are held out of training."""


@dataclass(frozen=True)
class _Assembled:
    """What an attempt has made."""

    pack: str
    """Its name in the store."""
    sha256: str
    clips: list[Clip]
    """The new ones."""
    problems: list[FileProblem]
    noticed: list[Noticed]
    every_clip: list[uuid.UUID]
    """Old and new, as `noticed` counts them."""


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
        _divide(raw_data, clips)
        every_clip = [*raw_data.clips.order_by("offset"), *clips]
        _require_word(every_clip, problems)
        noticed = _check(attempt, every_clip, pack.path)
        name = f"raw/{pack.sha256}.pcm"
        storage.adopt_file(name, pack.path)
    written = _Assembled(name, pack.sha256, clips, problems, noticed, [clip.pk for clip in every_clip])
    retrying(lambda: _write(job, written, takes))
    for take in takes:
        default_storage.delete(take.file_name)


def _copy_pack(raw_data: RawData, pack: PackWriter) -> None:
    if not raw_data.pack:
        return
    path = stored(raw_data.pack, raw_data.pack_sha256, f"The audio of “{raw_data}”")
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


def _require_word(clips: list[Clip], problems: list[FileProblem]) -> None:
    if not any(clip.kind == ClipKind.WORD for clip in clips):
        raise EngineError(
            "no-words",
            " ".join(["There are no recorded words in this data.", *(problem.reason for problem in problems[:1])]),
            "Record at least one word, then press Done again.",
        )


def _check(attempt: Attempt, clips: list[Clip], pack: Path) -> list[Noticed]:
    def report(checked: int) -> None:
        attempt.progress(checked, len(clips), "clips", "Comparing clips")

    noticed = check([_checked(clip) for clip in clips], pack, report, attempt.stop_if_asked)
    # That voices are in all parts is how `_divide` makes them.
    return [one for one in noticed if one.code != FindingCode.SPEAKER_IN_SEVERAL_SPLITS]


def _checked(clip: Clip) -> IngestedClip:
    return IngestedClip(
        name=clip.name, label=clip.label, speaker=clip.speaker, noise=clip.kind == ClipKind.NOISE, offset=clip.offset,
        length=clip.length, sample_rate=clip.sample_rate, peak_dbfs=clip.peak_dbfs, rms_dbfs=clip.rms_dbfs,
        split=clip.split,
    )  # fmt: skip


def _write(job: RawDataImport, assembled: _Assembled, takes: list[Take]) -> None:
    raw_data = RawData.objects.get(pk=job.raw_data_id)
    with transaction.atomic():
        services.succeed(job, message="", progress_done=len(takes), progress_total=len(takes), progress_unit="clips")
        Clip.objects.bulk_create(assembled.clips)
        FileProblem.objects.bulk_create(assembled.problems)
        replace_findings(raw_data, assembled.noticed, assembled.every_clip)
        Take.objects.filter(pk__in=[take.pk for take in takes]).delete()
        if raw_data.pack and raw_data.pack != assembled.pack:
            raw_data.earlier_packs.append(raw_data.pack)
        raw_data.pack, raw_data.pack_sha256 = assembled.pack, assembled.sha256
        raw_data.problem_count = raw_data.problems.count()
        rows = raw_data.clips.values_list("kind", "label", "split", "length", "sample_rate")
        summarize(raw_data, map(ClipFacts._make, rows))
        raw_data.save()
        count_new_clips(raw_data)
