"""Fill raw data: read an archive, a folder or an address, or speak words; write the pack, then the rows at once."""

from __future__ import annotations

import statistics
import tempfile
import urllib.request
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from django.conf import settings
from django.core.files.storage import default_storage
from django.db import transaction

from datasets_app.models import Clip, ClipKind, FileProblem, RawData, RawDataImport, Source, Split
from edgewise import storage
from edgewise.jobs import services
from workers.attempt import Attempt
from workers.database import retrying
from workers.engine.audio import PackWriter, Recording
from workers.engine.errors import EngineError
from workers.engine.ingest import Ingested, add, ingest, published_split

ROWS_AT_ONCE = 5000
BLOCK = 2**20


def run(attempt: Attempt) -> None:
    """Do the import. Rows appear only when all is there, so an attempt that dies leaves none."""
    job = attempt.job
    assert isinstance(job, RawDataImport)
    with tempfile.TemporaryDirectory(dir=_work_folder(), prefix="import-") as name:
        folder = Path(name)
        if job.source == Source.SYNTHESIS:
            found = _speak(attempt, job, folder)
        else:
            found = ingest(
                _source(attempt, job),
                folder,
                report=lambda count: attempt.progress(count, 0, "files"),
                stop=attempt.stop_if_asked,
            )
        storage.adopt_file(f"raw/{found.sha256}.pcm", found.pack)
    for problem in found.problems[:20]:
        attempt.log(f"{problem.name}: {problem.reason} {problem.remedy}", "warning")
    retrying(lambda: _write(attempt, job, found))
    if job.source == Source.UPLOAD:
        default_storage.delete(job.location)


def _work_folder() -> Path:
    folder: Path = settings.HOME / "tmp"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _source(attempt: Attempt, job: RawDataImport) -> Path:
    if job.source == Source.URL:
        return _download(attempt, job.location)
    return storage.local_path(job.location) if job.source == Source.UPLOAD else Path(job.location)


def _download(attempt: Attempt, address: str) -> Path:
    """Fetch an address into the cache; what an earlier attempt has fetched already is not fetched again."""
    target: Path = settings.CACHE_FOLDER / "downloads" / Path(address).name
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        return target
    partial = target.with_name(target.name + ".part")
    have = partial.stat().st_size if partial.exists() else 0
    # The service takes http(s) addresses alone.
    request = urllib.request.Request(address, headers={"Range": f"bytes={have}-"} if have else {})  # noqa: S310
    try:
        with (
            urllib.request.urlopen(request, timeout=60) as answer,  # noqa: S310
            partial.open("ab" if answer.status == 206 else "wb") as file,
        ):
            total = int(answer.headers.get("Content-Length", 0)) + file.tell()
            while block := answer.read(BLOCK):
                attempt.stop_if_asked()
                file.write(block)
                attempt.progress(file.tell(), total, "bytes", "Downloading")
    except OSError as error:
        raise EngineError(
            "download",
            f"The download of {address} failed: {error}.",
            "Check the address and this server's network, then press Resume: it goes on where it stopped.",
        ) from error
    partial.replace(target)
    return target


def _speak(attempt: Attempt, job: RawDataImport, folder: Path) -> Ingested:
    # Loads a native library that imports of recordings do without.
    from workers.engine.speech import number_of_clips, speak_words

    keywords, count = job.options["keywords"], job.options["clips_per_word"]
    total, found = number_of_clips(keywords, count), Ingested()
    with PackWriter(folder) as pack:
        for number, spoken in enumerate(speak_words(keywords, count, job.options["seed"])):
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


def _write(attempt: Attempt, job: RawDataImport, found: Ingested) -> None:
    raw_data = job.raw_data
    with transaction.atomic():
        services.succeed(
            job, message="", progress_done=len(found.clips), progress_total=len(found.clips), progress_unit="clips"
        )
        raw_data.clips.all().delete()
        raw_data.problems.all().delete()
        Clip.objects.bulk_create(_clips(raw_data, found), batch_size=ROWS_AT_ONCE)
        FileProblem.objects.bulk_create(
            (
                FileProblem(raw_data=raw_data, name=p.name[:500], code=p.code, reason=p.reason, remedy=p.remedy)
                for p in found.problems
            ),
            batch_size=ROWS_AT_ONCE,
        )
        _summarize(raw_data, found)


def _clips(raw_data: RawData, found: Ingested) -> Iterable[Clip]:
    for clip in found.clips:
        yield Clip(
            raw_data=raw_data, name=clip.name[-500:], kind=ClipKind.NOISE if clip.noise else ClipKind.WORD,
            label=clip.label[:100], speaker=clip.speaker[:200], split=clip.split,
            offset=clip.offset, length=clip.length,
            sample_rate=clip.sample_rate, peak_dbfs=clip.peak_dbfs, rms_dbfs=clip.rms_dbfs,
        )  # fmt: skip


def _summarize(raw_data: RawData, found: Ingested) -> None:
    words = [clip for clip in found.clips if not clip.noise]
    counts: dict[str, dict[str, int]] = {}
    for clip in words:
        splits = counts.setdefault(clip.label[:100], dict.fromkeys(Split.values, 0))
        splits[clip.split] += 1
    raw_data.pack, raw_data.pack_sha256 = f"raw/{found.sha256}.pcm", found.sha256
    raw_data.clip_count, raw_data.noise_count = len(words), len(found.clips) - len(words)
    raw_data.problem_count = len(found.problems)
    raw_data.seconds = sum(clip.length / clip.sample_rate for clip in found.clips)
    raw_data.sample_rate = Counter(clip.sample_rate for clip in words).most_common(1)[0][0]
    raw_data.median_milliseconds = round(statistics.median(1000 * clip.length / clip.sample_rate for clip in words))
    raw_data.label_counts = dict(sorted(counts.items()))
    raw_data.save()
