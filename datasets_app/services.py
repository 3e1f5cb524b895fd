"""What users do with raw data and datasets."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain, count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.files import File
from django.core.files.storage import default_storage
from django.db import IntegrityError, transaction
from pydantic import ValidationError

from datasets_app import recipe
from datasets_app.findings.queries import findings
from datasets_app.models import Dataset, Origin, RawData, RawDataImport, Source
from datasets_app.revisions import DataRevision
from edgewise.accounts.models import User, Workspace
from edgewise.errors import Conflict, Forbidden, Invalid, TooLarge, UserError
from edgewise.ids import new_id
from edgewise.jobs import services as jobs
from edgewise.jobs.models import ACTIVE, State
from edgewise.spec.dataset import SPLITS, UNKNOWN, DatasetParameters
from edgewise.spec.fields import explain
from edgewise.spec.quality import FindingCode

SPEECH_COMMANDS = "SpeechCommands v2"
CLIPS_PER_WORD = 250
FEW_CLIPS = 50
UNEVEN = 3
"""Times as many clips as another keyword has, from which on a keyword is favoured."""
LONGEST_NAME = 100
MOST_LISTED = 20
FEWEST_SPEAKERS = 3
"""One each for training, validation and test."""


# --- raw data ---------------------------------------------------------------------------------------------------------


def import_archive(*, workspace: Workspace, user: User, name: str, file: File[bytes], file_name: str) -> RawData:
    """Store an uploaded archive and queue its import.

    Raises:
        Invalid: the name is missing or taken.
        TooLarge: the archive is larger than this server takes.
        QueueFull: too many imports wait already.
    """
    name = _checked_name(RawData, workspace, name or Path(file_name).name.split(".")[0])
    if file.size > settings.MAX_UPLOAD:
        raise TooLarge(
            f"The archive holds {file.size / 2**30:.1f} GiB; this server takes {settings.MAX_UPLOAD / 2**30:.1f} GiB.",
            "Upload it in parts, or ask the operator to raise EDGEWISE_MAX_UPLOAD.",
        )
    if not file.size:
        raise Invalid({"file": f"{file_name} is empty. Choose the archive with the recordings."})
    location = default_storage.save(f"uploads/{new_id()}/{Path(file_name).name or 'archive'}", file)
    try:
        return _begin_import(workspace, user, name, Origin.UPLOADED, Source.UPLOAD, location=location)
    except UserError:
        default_storage.delete(location)
        raise


def import_speech_commands(*, workspace: Workspace, user: User, location: str) -> RawData:
    """Queue the import of Speech Commands, or of data in its layout, for everyone.

    Args:
        location: path of an archive or folder on the server, or an http(s) address.

    Raises:
        Forbidden: the user is no administrator.
        Invalid: there is nothing at the location.
        Conflict: the data is there already.
    """
    if not user.is_staff:
        raise Forbidden("Only administrators import data for everyone.", "Upload data of your own instead.")
    source = Source.URL if urlsplit(location).scheme in ("http", "https") else Source.PATH
    if not location:
        raise Invalid({"location": "Give the path of the archive or folder on the server, or its address."})
    if source == Source.PATH and not Path(location).exists():
        raise Invalid({"location": f"There is no file or folder {location} on the server. Check the path."})
    earlier = RawData.objects.filter(shared=True, name=SPEECH_COMMANDS).select_related("import_job").first()
    if earlier is None:
        return _begin_import(
            workspace, user, SPEECH_COMMANDS, Origin.SPEECH_COMMANDS, source, location=location, shared=True
        )
    if earlier.import_job.state in (*ACTIVE, State.SUCCEEDED):
        raise Conflict(f"{SPEECH_COMMANDS} is there already, or being imported.", "Delete it first to import it again.")
    with transaction.atomic():
        RawDataImport.objects.filter(pk=earlier.import_job.pk).update(source=source, location=location)
        jobs.requeue(earlier.import_job)
    return earlier


def synthesize(
    *, workspace: Workspace, user: User, name: str, keywords: list[str], clips_per_word: int = CLIPS_PER_WORD,
    seed: int = 0,
) -> RawData:  # fmt: skip
    """Queue the speaking of keywords, of other words, and of noise."""
    problems: dict[str, str] = {}
    words = [word.strip().lower() for word in keywords if word.strip()]
    if not 1 <= len(words) <= 100 or len(set(words)) < len(words):
        problems["keywords"] = "Give from 1 to 100 different words to speak."
    elif bad := [word for word in words if not all(sign.isalnum() or sign in "_'-" for sign in word)]:
        problems["keywords"] = f"{', '.join(bad)}: use letters, digits, _ and - only."
    if not 10 <= clips_per_word <= 5000:
        problems["clips_per_word"] = "Speak each word from 10 to 5,000 times."
    if problems:
        raise Invalid(problems)
    name = _checked_name(RawData, workspace, name)
    options = {"keywords": words, "clips_per_word": clips_per_word, "seed": seed}
    return _begin_import(workspace, user, name, Origin.SYNTHETIC, Source.SYNTHESIS, options=options)


def delete_raw_data(raw_data: RawData) -> None:
    """Delete raw data with its clips.

    Raises:
        Conflict: datasets are made of it, or its import is at work.
    """
    with transaction.atomic():
        # Locked, so that nobody makes a dataset of it meanwhile.
        raw_data = RawData.objects.select_for_update(of=("self",)).select_related("import_job").get(pk=raw_data.pk)
        _refuse_while_needed(raw_data.name, [f"dataset “{name}”" for name in _first_names(raw_data.datasets)])
        job = raw_data.import_job
        if job.active:
            raise Conflict(f"“{raw_data.name}” is being imported.", "Cancel the import first.")
        raw_data.delete()
    if raw_data.pack and not RawData.objects.filter(pack=raw_data.pack).exists():
        default_storage.delete(raw_data.pack)
    if job.source == Source.UPLOAD:
        default_storage.delete(job.location)


def _begin_import(
    workspace: Workspace, user: User, name: str, origin: Origin, source: Source, *, location: str = "",
    options: dict[str, Any] | None = None, shared: bool = False,
) -> RawData:  # fmt: skip
    with transaction.atomic(), _name_is_free(name):
        raw_data = RawData.objects.create(workspace=workspace, created_by=user, name=name, origin=origin, shared=shared)
        job = RawDataImport.objects.create(
            workspace=workspace, created_by=user, raw_data=raw_data, source=source, location=location,
            options=options or {}, progress_unit="files",
        )  # fmt: skip
        jobs.enqueue(job)
    return raw_data


# --- datasets ---------------------------------------------------------------------------------------------------------


def create_dataset(
    *, workspace: Workspace, user: User, raw_data: RawData, name: str, parameters: Mapping[str, Any]
) -> Dataset:
    """Make a dataset of raw data.

    Raises:
        Invalid: a parameter is wrong, a keyword is not in the data, or the name is taken.
        Conflict: the raw data is not imported yet.
    """
    data = DataRevision(raw_data, workspace)
    chosen = _validated(data, {**prefill(raw_data)["parameters"], **parameters})
    counts = recipe.label_counts(data, chosen)
    _require_training_clips(chosen, counts)
    name = _checked_name(Dataset, workspace, name)
    with _name_is_free(name):
        return Dataset.objects.create(
            workspace=workspace,
            created_by=user,
            raw_data=raw_data,
            name=name,
            parameters=chosen.model_dump(),
            counts=counts,
        )


def rename_dataset(dataset: Dataset, name: str) -> None:
    """Give a dataset another name."""
    dataset.name = _checked_name(Dataset, dataset.workspace, name, but=dataset)
    with _name_is_free(dataset.name):
        dataset.save(update_fields=["name"])


def duplicate_dataset(dataset: Dataset, user: User) -> Dataset:
    """Make a dataset with the same recipe."""
    name = _name_of_copy(dataset)
    return Dataset.objects.create(
        workspace=dataset.workspace, created_by=user, raw_data=dataset.raw_data, name=name,
        parameters=dataset.parameters, counts=dataset.counts,
    )  # fmt: skip


def delete_dataset(dataset: Dataset) -> None:
    """Delete a dataset; its raw data stays.

    Raises:
        Conflict: runs use it.
    """
    with transaction.atomic():
        # Locked, so that nobody starts a run on it meanwhile.
        dataset = Dataset.objects.select_for_update().get(pk=dataset.pk)
        # Named through the relation: the runs' app stands above this one.
        _refuse_while_needed(dataset.name, [f"run “{name}”" for name in _first_names(dataset.runs)])
        dataset.delete()


def _first_names(rows: Any) -> list[str]:
    return list(rows.order_by("-id").values_list("name", flat=True)[:MOST_LISTED])


def _refuse_while_needed(name: str, needed_by: list[str]) -> None:
    if needed_by:
        raise Conflict(f"“{name}” is needed by {', '.join(needed_by)}.", "Delete these first.", needed_by=needed_by)


def count_labels(data: DataRevision, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Count what a dataset would hold: `labels` as [label, {split: clips}], and `warnings` for people."""
    chosen = _validated(data, {**prefill(data.raw_data)["parameters"], **parameters})
    labels = recipe.label_counts(data, chosen)
    warnings = [
        f"{label} has only {sum(splits.values())} clips; from {FEW_CLIPS} on results can be trusted."
        for label, splits in labels
        if label in chosen.keywords and sum(splits.values()) < FEW_CLIPS
    ]
    warnings += _uneven(chosen, dict(labels))
    warnings += _voices_in_several_splits(data, chosen)
    missing = {split: [label for label, splits in labels if not splits[split]] for split in SPLITS}
    warnings += [f"No {split} clips of {', '.join(lacking)}." for split, lacking in missing.items() if lacking]
    return {"labels": labels, "warnings": warnings}


def _uneven(chosen: DatasetParameters, counts: Mapping[str, Mapping[str, int]]) -> Iterator[str]:
    """Warn of keywords with many times the training clips of others: the network learns to guess them."""
    train = {word: counts[word]["train"] for word in chosen.keywords if counts[word]["train"]}
    if not train:
        return
    most, least = max(train, key=train.__getitem__), min(train, key=train.__getitem__)
    if train[most] >= UNEVEN * train[least]:
        yield (
            f"{most} has {train[most]:,} training clips and {least} only {train[least]:,}, so the network will favour "
            f"{most}. Limit the clips per keyword to {train[least]:,}, or record more of {least}."
        )


def _voices_in_several_splits(data: DataRevision, chosen: DatasetParameters) -> Iterator[str]:
    """Warn where the test would be spoken by voices of the training, though the data tells who speaks."""
    if chosen.split == "speaker" or len(recipe.speakers(data.raw_data)) < FEWEST_SPEAKERS:
        return
    torn = findings(data).filter(code=FindingCode.SPEAKER_IN_SEVERAL_SPLITS, settled=False)
    if chosen.split == "clip" or torn.exists():
        yield (
            "Some people are heard in training and in the test, so results say little about people who were never "
            "heard. Split by speaker instead."
        )


def prefill(raw_data: RawData) -> dict[str, Any]:
    """Read the defaults off the data: `parameters`, and in `read_from` a sentence for each that says from what."""
    rate = min(max(raw_data.sample_rate, 8000), 48000)
    duration = min(max(round(raw_data.median_milliseconds / 50) * 50, 250), 10000)
    return {
        "parameters": {"sample_rate": rate, "clip_duration_ms": duration},
        "read_from": {
            "sample_rate": f"Most clips have {raw_data.sample_rate:,} Hz.",
            "clip_duration_ms": f"The median clip lasts {raw_data.median_milliseconds:,} ms.",
        },
    }


def _validated(data: DataRevision, parameters: Mapping[str, Any]) -> DatasetParameters:
    raw_data = data.raw_data
    if not raw_data.ready:
        raise Conflict(f"“{raw_data.name}” is not imported yet.", "Wait until its import has ended.")
    try:
        chosen = DatasetParameters.model_validate(dict(parameters))
    except ValidationError as error:
        raise Invalid(explain(error, DatasetParameters)) from error
    labels = data.label_counts()
    unknown = [word for word in chosen.keywords if word not in labels]
    if unknown:
        raise Invalid({"keywords": " ".join(_not_there(raw_data, labels, word) for word in unknown)})
    if chosen.split == "speaker" and (known := len(recipe.speakers(raw_data))) < FEWEST_SPEAKERS:
        raise Invalid(
            {
                "split": f"The names of the files tell {known or 'no'} speakers, and this split needs "
                f"{FEWEST_SPEAKERS}. Split by clip instead."
            }
        )
    return chosen


def _require_training_clips(chosen: DatasetParameters, counts: list[tuple[str, dict[str, int]]]) -> None:
    empty = {label for label, splits in counts if not splits["train"]}
    problems: dict[str, str] = {}
    if words := [word for word in chosen.keywords if word in empty]:
        problems["keywords"] = f"There are no training clips of {', '.join(words)}. Choose other words or splits."
    elif UNKNOWN in empty:
        problems["unknown_percentage"] = (
            f"There are no other words to make {UNKNOWN} of. Set this to 0, or choose fewer keywords."
        )
    if problems:
        raise Invalid(problems)


def _not_there(raw_data: RawData, labels: Iterable[str], word: str) -> str:
    by_letters = {label.casefold(): label for label in labels}
    near = [by_letters[match] for match in difflib.get_close_matches(word.casefold(), by_letters, n=3)]
    hint = f" Did you mean {' or '.join(near)}?" if near else ""
    return f"“{word}” is not in “{raw_data.name}”.{hint}"


# --- names ------------------------------------------------------------------------------------------------------------


def _checked_name(
    model: type[RawData] | type[Dataset], workspace: Workspace, name: str, but: RawData | Dataset | None = None
) -> str:
    name = name.strip()
    if not name:
        raise Invalid({"name": "Give it a name."})
    if len(name) > LONGEST_NAME:
        raise Invalid({"name": f"The name can have at most {LONGEST_NAME} characters."})
    others = model._default_manager.filter(workspace=workspace, name=name)
    if others.exclude(pk__in=[but.pk] if but else []).exists():
        raise Invalid({"name": _taken(name)})
    return name


@contextmanager
def _name_is_free(name: str) -> Iterator[None]:
    """Tell of a name that somebody else took since it was checked."""
    try:
        with transaction.atomic():
            yield
    except IntegrityError as error:
        if "names_differ" not in str(error):
            raise
        raise Invalid({"name": _taken(name)}) from error


def _taken(name: str) -> str:
    return f"The name “{name}” is taken; choose another."


def _name_of_copy(dataset: Dataset) -> str:
    taken = set(Dataset.objects.filter(workspace=dataset.workspace).values_list("name", flat=True))
    endings = chain([" copy"], (f" copy {number}" for number in count(2)))
    names = (dataset.name[: LONGEST_NAME - len(ending)] + ending for ending in endings)
    return next(name for name in names if name not in taken)
