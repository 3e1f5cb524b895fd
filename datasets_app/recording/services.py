"""What users do with a microphone.

Each take that is kept is stored at once, in a file of its own, so that nothing is lost when a page is closed. `finish`
asks a worker to put the takes behind the clips that are there already (`workers/jobs/assemble_takes.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.core.files import File
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import transaction
from django.utils import timezone
from pydantic import ValidationError

from datasets_app.models import ClipKind, Origin, RawData, RawDataImport, Source, Take
from datasets_app.services import make_raw_data
from edgewise.accounts.models import User, Workspace
from edgewise.errors import Conflict, Invalid, TooLarge
from edgewise.jobs import services as jobs
from edgewise.jobs.models import State
from edgewise.spec.fields import explain
from edgewise.spec.recording import RecordingParameters
from edgewise.wav import NotWav, read_wav, wav_header

NOISE_LABEL = "_background_noise_"
LOWEST_RATE, HIGHEST_RATE = 8000, 192_000
SHORTEST_SECONDS = 0.1
LONGEST_SECONDS = {ClipKind.WORD: 15, ClipKind.NOISE: 60}
HEADROOM_BYTES = 2**16
"""What a wav file may hold beside its samples."""
LONGEST_SPEAKER = 60
MOST_TAKES = 5000
"""Takes that may wait to become clips."""


def begin_recording(*, workspace: Workspace, user: User, name: str, parameters: Mapping[str, Any]) -> RawData:
    """Make raw data without clips, into which takes are recorded.

    Raises:
        Invalid: a parameter is wrong, or the name is missing or taken.
    """
    # There is nothing to import yet, and that is done.
    return make_raw_data(
        workspace=workspace, user=user, name=name, origin=Origin.RECORDED, source=Source.MICROPHONE,
        options=_validated(parameters).model_dump(), state=State.SUCCEEDED, finished_at=timezone.now(),
    )  # fmt: skip


def add_words(raw_data: RawData, words: Sequence[str]) -> None:
    """Record more words.

    Raises:
        Invalid: a word cannot be a label, or there are too many.
    """
    _require_recorded(raw_data)
    new = _labels(words)
    with transaction.atomic():
        job = RawDataImport.objects.select_for_update().get(raw_data=raw_data)
        there = job.options["words"]
        wanted = [*there, *(word for word in new if word not in there)]
        job.options = _validated({**job.options, "words": wanted}).model_dump()
        job.save(update_fields=["options"])


def add_take(
    *, raw_data: RawData, user: User, file: File[bytes], kind: str = ClipKind.WORD, label: str = "", speaker: str = ""
) -> Take:
    """Store one take.

    Args:
        file: wav, mono, 16-bit PCM.
        kind: a word, or background noise, whose label is always the same.
        speaker: name of who speaks, so that a dataset can keep people apart.

    Raises:
        Invalid: the file is no such wav, or a value is wrong.
        TooLarge: the file is longer than any take can be.
        Conflict: the raw data was not recorded here, or too many takes wait.
    """
    _require_recorded(raw_data)
    if raw_data.takes.count() >= MOST_TAKES:
        raise Conflict(f"{MOST_TAKES:,} clips wait already.", "Press Done to put them together, then go on recording.")
    samples, rate = _checked_audio(file, ClipKind(kind))
    take = Take(
        raw_data=raw_data, created_by=user, kind=kind, sample_rate=rate, length=len(samples) // 2,
        label=NOISE_LABEL if kind == ClipKind.NOISE else _checked_label(label),
        speaker="" if kind == ClipKind.NOISE else _checked_speaker(speaker),
    )  # fmt: skip
    if take.kind == ClipKind.WORD and take.label not in raw_data.import_job.options["words"]:
        add_words(raw_data, [take.label])
    default_storage.save(take.file_name, ContentFile(wav_header(take.length, rate) + samples))
    take.save()
    return take


def delete_take(take: Take) -> None:
    """Forget a take.

    Raises:
        Conflict: it is about to become a clip.
    """
    name = take.file_name
    with transaction.atomic():
        # Locked, so that no worker begins to read the takes meanwhile.
        if RawDataImport.objects.select_for_update().get(raw_data=take.raw_data_id).active:
            raise Conflict("The clips are being put together.", "Wait until that is done, then exclude the clip there.")
        take.delete()
    default_storage.delete(name)


def finish(raw_data: RawData) -> None:
    """Ask a worker to make clips of the takes. More can be recorded afterwards.

    Raises:
        Conflict: there are no takes, no word has any clip, or the worker is at it already.
        QueueFull: too many jobs wait.
    """
    _require_recorded(raw_data)
    if not raw_data.takes.exists():
        raise Conflict("Nothing new was recorded.", "Record some clips first.")
    if not raw_data.clip_count and not raw_data.takes.filter(kind=ClipKind.WORD).exists():
        raise Conflict("Only noise was recorded so far.", "Record some words, too.")
    if raw_data.import_job.active:
        raise Conflict("The clips are being put together already.", "Wait until that has ended.")
    jobs.repeat(raw_data.import_job)


def _require_recorded(raw_data: RawData) -> None:
    if raw_data.origin != Origin.RECORDED:
        raise Conflict(
            f"“{raw_data.name}” was not recorded here.",
            "Press Record on the Datasets page.",
        )


def _validated(parameters: Mapping[str, Any]) -> RecordingParameters:
    try:
        return RecordingParameters.model_validate(dict(parameters))
    except ValidationError as error:
        raise Invalid(explain(error, RecordingParameters)) from error


def _labels(words: Sequence[str]) -> list[str]:
    """Check words by the rule that all words of a recording keep."""
    return _validated({"words": list(words)}).words


def _checked_label(label: str) -> str:
    if not label.strip():
        raise Invalid({"label": "Say which word it is."})
    try:
        return _labels([label])[0]
    except Invalid as error:
        raise Invalid({"label": error.fields["words"]}) from error


def _checked_speaker(speaker: str) -> str:
    name = "_".join(speaker.split())
    if len(name) > LONGEST_SPEAKER or not all(sign.isalnum() or sign in "_'-." for sign in name):
        raise Invalid(
            {"speaker": f"The name of who speaks has at most {LONGEST_SPEAKER} letters, digits, spaces and _ ' - ."}
        )
    return name


def _checked_audio(file: File[bytes], kind: ClipKind) -> tuple[bytes, int]:
    longest = LONGEST_SECONDS[kind]
    if file.size > 2 * longest * HIGHEST_RATE + HEADROOM_BYTES:
        raise TooLarge(f"The file is larger than {longest} s of sound.", "Record a shorter clip.")
    try:
        samples, rate = read_wav(file)
    except NotWav as error:
        raise Invalid({"file": f"The file cannot be used. {error} Send wav, mono, 16-bit PCM."}) from error
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise Invalid({"file": f"A sample rate of {rate:,} Hz is outside {LOWEST_RATE:,} to {HIGHEST_RATE:,} Hz."})
    seconds = len(samples) / 2 / rate
    if not SHORTEST_SECONDS <= seconds <= longest:
        raise Invalid({"file": f"It lasts {seconds:.2f} s; from {SHORTEST_SECONDS} to {longest} s are taken."})
    return samples, rate
