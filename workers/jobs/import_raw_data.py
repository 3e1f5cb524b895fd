"""Fill raw data: read an archive, a folder or an address, or speak words; write the pack, then the rows at once."""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path

from django.core.files.storage import default_storage
from django.db import transaction

from datasets_app.models import Clip, ClipKind, FileProblem, RawData, RawDataImport, Source
from edgewise import storage
from edgewise.jobs import services
from edgewise.spec.synthesis import SynthesisParameters
from workers.attempt import Attempt
from workers.database import retrying
from workers.download import fetch, folder_for
from workers.engine.audio import PackWriter, Recording
from workers.engine.ingest import Ingested, IngestedClip, add, ingest, published_split
from workers.engine.quality.check import Finding as Noticed
from workers.engine.quality.check import check
from workers.jobs import assemble_takes
from workers.jobs.noticed import ROWS_AT_ONCE, replace_findings
from workers.jobs.stored import stored
from workers.jobs.summary import ClipFacts, summarize

MEGABYTE = 10**6


def run(attempt: Attempt) -> None:
    """Do the import. Rows appear only when all is there, so an attempt that dies leaves none."""
    job = attempt.job
    assert isinstance(job, RawDataImport)
    if job.source == Source.MICROPHONE:
        assemble_takes.assemble(attempt, job)
        return
    with attempt.scratch_folder() as folder:
        found = _speak(attempt, job, folder) if job.source == Source.SYNTHESIS else _read(attempt, job, folder)
        noticed = _check(attempt, found)
        retrying(lambda: _claim_pack(job, found))
        storage.adopt_file(_pack_name(found), found.pack)
    for problem in found.problems[:20]:
        attempt.log(f"{problem.name}: {problem.reason} {problem.remedy}", "warning")
    retrying(lambda: _write(job, found, noticed))
    if job.source == Source.UPLOAD:
        default_storage.delete(job.location)
    elif job.source == Source.URL:
        shutil.rmtree(folder_for(job.location), ignore_errors=True)


def _read(attempt: Attempt, job: RawDataImport, folder: Path) -> Ingested:
    def report(files: int, share: float) -> None:
        # How many there will be is known from what is left of the archive.
        expected = max(files + 1, round(files / share)) if share else 0
        attempt.progress(files, expected, "files")

    return ingest(_source(attempt, job), folder, report, attempt.stop_if_asked)


def _source(attempt: Attempt, job: RawDataImport) -> Path:
    if job.source == Source.UPLOAD:
        return stored(job.location, "", "The uploaded archive")
    if job.source == Source.PATH:
        return Path(job.location)

    def report(done: int, total: int) -> None:
        attempt.progress(done // MEGABYTE, -(-total // MEGABYTE), "MB", "Downloading")

    return fetch(job.location, folder_for(job.location), report, attempt.stop_if_asked)


def _speak(attempt: Attempt, job: RawDataImport, folder: Path) -> Ingested:
    # Loads a native library that imports of recordings do without.
    from workers.engine.speech import EspeakSynthesizer, number_of_clips, speak_words, with_near_misses

    synthesizer = EspeakSynthesizer()
    asked = with_near_misses(SynthesisParameters.model_validate(job.options), synthesizer)
    attempt.log(f"Near misses: {', '.join(asked.near_misses or ()) or 'none'}.")
    total, found = number_of_clips(asked), Ingested()
    with PackWriter(folder) as pack:
        for number, spoken in enumerate(speak_words(asked, synthesizer)):
            attempt.stop_if_asked()
            attempt.progress(number + 1, total, "clips", "Speaking")
            clip = add(
                pack, Recording(spoken.samples, spoken.sample_rate),
                name=spoken.name, label=spoken.label, speaker=spoken.speaker, noise=spoken.noise,
            )  # fmt: skip
            # By voice: a network that is tested on voices it has heard looks better than it is.
            clip.split = "train" if spoken.noise else published_split(spoken.speaker)
            found.clips.append(clip)
    found.pack, found.sha256 = pack.path, pack.sha256
    return found


def _check(attempt: Attempt, found: Ingested) -> list[Noticed]:
    def report(clips: int) -> None:
        attempt.progress(clips, len(found.clips), "clips", "Comparing clips")

    return check(found.clips, found.pack, report, attempt.stop_if_asked)


def _pack_name(found: Ingested) -> str:
    return f"raw/{found.sha256}.pcm"


def _claim_pack(job: RawDataImport, found: Ingested) -> None:
    """Name the pack before it is stored: who deletes other raw data with the same audio then leaves it alone."""
    with transaction.atomic():
        services.write_fenced(job, message="")
        RawData.objects.filter(pk=job.raw_data_id).update(pack=_pack_name(found), pack_sha256=found.sha256)


def _write(job: RawDataImport, found: Ingested, noticed: list[Noticed]) -> None:
    raw_data = job.raw_data
    with transaction.atomic():
        services.succeed(
            job, message="", progress_done=len(found.clips), progress_total=len(found.clips), progress_unit="clips"
        )
        raw_data.clips.all().delete()
        raw_data.problems.all().delete()
        ids: list[uuid.UUID] = []
        # In parts: rows as objects are large.
        for start in range(0, len(found.clips), ROWS_AT_ONCE):
            rows = [_clip(raw_data, clip) for clip in found.clips[start : start + ROWS_AT_ONCE]]
            ids += [row.pk for row in Clip.objects.bulk_create(rows)]
        replace_findings(raw_data, noticed, ids)
        FileProblem.objects.bulk_create(
            (
                FileProblem(raw_data=raw_data, name=p.name[:500], code=p.code, reason=p.reason, remedy=p.remedy)
                for p in found.problems
            ),
            batch_size=ROWS_AT_ONCE,
        )
        _summarize(raw_data, found)


def _clip(raw_data: RawData, clip: IngestedClip) -> Clip:
    return Clip(
        raw_data=raw_data, name=clip.name, kind=_kind(clip), label=clip.label,
        speaker=clip.speaker[:200], split=clip.split, offset=clip.offset, length=clip.length,
        sample_rate=clip.sample_rate, peak_dbfs=clip.peak_dbfs, rms_dbfs=clip.rms_dbfs,
    )  # fmt: skip


def _summarize(raw_data: RawData, found: Ingested) -> None:
    raw_data.pack, raw_data.pack_sha256 = _pack_name(found), found.sha256
    raw_data.problem_count = len(found.problems)
    summarize(raw_data, map(_facts, found.clips))
    raw_data.save()


def _facts(clip: IngestedClip) -> ClipFacts:
    return ClipFacts(_kind(clip), clip.label, clip.split, clip.length, clip.sample_rate)


def _kind(clip: IngestedClip) -> ClipKind:
    return ClipKind.NOISE if clip.noise else ClipKind.WORD
