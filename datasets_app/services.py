"""What users do with raw data and datasets."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.files import File
from django.core.files.storage import default_storage
from django.db import IntegrityError, transaction
from django.db.models import Max, Q
from pydantic import ValidationError

from datasets_app import recipe
from datasets_app.findings.queries import findings
from datasets_app.models import (
    ClipEdit,
    Dataset,
    Origin,
    RawData,
    RawDataImport,
    RawDataQuerySet,
    Source,
    SpeechPreview,
)
from datasets_app.revisions import DataRevision, newest_revision
from edgewise.accounts.models import User, Workspace
from edgewise.errors import Conflict, Forbidden, Invalid, Problems, TooLarge, UserError
from edgewise.ids import new_id
from edgewise.jobs import services as jobs
from edgewise.jobs.models import ACTIVE, State
from edgewise.spec.dataset import SPLITS, UNKNOWN, DatasetParameters
from edgewise.spec.fields import explain
from edgewise.spec.quality import FindingCode
from edgewise.spec.synthesis import SynthesisParameters

SPEECH_COMMANDS = "SpeechCommands v2"
FEW_CLIPS = 50
WORDS_NAMED = 8
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
    name = check_raw_data_name(workspace, name or name_after(file_name))
    check_size(file_name, file.size)
    location = default_storage.save(f"uploads/{new_id()}/{Path(file_name).name or 'archive'}", file)
    try:
        return import_stored_archive(workspace=workspace, user=user, name=name, location=location)
    except UserError:
        default_storage.delete(location)
        raise


def import_stored_archive(*, workspace: Workspace, user: User | None, name: str, location: str) -> RawData:
    """Queue the import of an archive that lies in the store.

    Raises:
        Invalid: the name is missing or taken.
        QueueFull: too many imports wait already.
    """
    name = check_raw_data_name(workspace, name)
    return _begin_import(workspace, user, name, Origin.UPLOADED, Source.UPLOAD, location=location)


def name_after(file_name: str) -> str:
    """Name raw data after its archive, where nobody gave it a name."""
    return Path(file_name).name.split(".")[0]


def check_raw_data_name(workspace: Workspace, name: str) -> str:
    """Return the name without the spaces around it.

    Raises:
        Invalid: the name is missing, too long or taken.
    """
    return _checked_name(RawData, workspace, name)


def check_size(file_name: str, size: int) -> None:
    """Check how large an archive is, in bytes.

    Raises:
        Invalid: it is empty.
        TooLarge: it is larger than this server takes.
    """
    if size > settings.MAX_UPLOAD:
        raise TooLarge(
            f"The archive holds {size / 2**30:.1f} GiB; this server takes {settings.MAX_UPLOAD / 2**30:.1f} GiB.",
            "Upload it in parts, or ask the operator to raise EDGEWISE_MAX_UPLOAD.",
        )
    if not size:
        raise Invalid({"file": f"{file_name} is empty. Choose the archive with the recordings."})


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


def synthesize(*, workspace: Workspace, user: User, name: str, parameters: Mapping[str, Any]) -> RawData:
    """Queue the speaking of keywords, of other words, of near misses, and of noise.

    Raises:
        Invalid: a parameter is wrong, or the name is missing or taken.
        QueueFull: too many jobs wait already.
    """
    chosen = _checked_synthesis(parameters)
    name = _checked_name(RawData, workspace, name)
    return _begin_import(
        workspace, user, name, Origin.SYNTHETIC, Source.SYNTHESIS, options=chosen.model_dump(exclude_none=True)
    )


def preview_speech(*, workspace: Workspace, user: User, parameters: Mapping[str, Any]) -> SpeechPreview:
    """Queue an example of a synthesis, in place of the user's earlier one.

    Raises:
        Invalid: a parameter is wrong.
        QueueFull: too many jobs wait already.
    """
    chosen = _checked_synthesis(parameters)
    with transaction.atomic():
        SpeechPreview.objects.filter(created_by=user).delete()
        preview = SpeechPreview.objects.create(workspace=workspace, created_by=user, parameters=chosen.model_dump())
        jobs.enqueue(preview)
    return preview


def _checked_synthesis(parameters: Mapping[str, Any]) -> SynthesisParameters:
    try:
        return SynthesisParameters.model_validate(dict(parameters))
    except ValidationError as error:
        raise Invalid(explain(error, SynthesisParameters)) from error


def require_own(raw_data: RawData, user: User) -> None:
    """Let a user change raw data that is visible to them.

    Raises:
        Forbidden: it is shared with everyone, and the user is no administrator.
    """
    if raw_data.shared and not user.is_staff:
        raise Forbidden("This data is shared with everyone; only administrators change it.")


def delete_raw_data(raw_data: RawData) -> None:
    """Delete raw data with its clips.

    Raises:
        Conflict: datasets are made of it, or its import is at work.
    """
    with transaction.atomic():
        # Locked, so that nobody makes a dataset of it meanwhile.
        raw_data = RawData.objects.select_for_update(of=("self",)).select_related("import_job").get(pk=raw_data.pk)
        needed_by = [*_first_datasets(raw_data, raw_data.datasets)]
        needed_by += [f"{dataset}, which uses its noise" for dataset in _first_datasets(raw_data, raw_data.noise_of)]
        _refuse_while_needed(raw_data.name, needed_by)
        job = raw_data.import_job
        if job.active:
            raise Conflict(f"“{raw_data.name}” is being imported.", "Cancel the import first.")
        takes = [take.file_name for take in raw_data.takes.all()]
        raw_data.delete()
    for pack in filter(None, [raw_data.pack, *raw_data.earlier_packs]):
        _delete_unless_needed(pack)
    for take in takes:
        default_storage.delete(take)
    if job.source == Source.UPLOAD:
        default_storage.delete(job.location)


def _delete_unless_needed(pack: str) -> None:
    """Delete a pack; data with the very same sound has the same one."""
    if not RawData.objects.filter(Q(pack=pack) | Q(earlier_packs__contains=[pack])).exists():
        default_storage.delete(pack)


def make_raw_data(
    *,
    workspace: Workspace,
    user: User | None,
    name: str,
    origin: Origin,
    source: Source,
    shared: bool = False,
    **job: Any,
) -> RawData:
    """Make raw data without clips, and the row of the job that fills it; `job` are fields of that row.

    Raises:
        Invalid: the name is missing or taken.
    """
    name = _checked_name(RawData, workspace, name)
    with transaction.atomic(), _name_is_free(name):
        raw_data = RawData.objects.create(workspace=workspace, created_by=user, name=name, origin=origin, shared=shared)
        RawDataImport.objects.create(workspace=workspace, created_by=user, raw_data=raw_data, source=source, **job)
    return raw_data


def _begin_import(
    workspace: Workspace, user: User | None, name: str, origin: Origin, source: Source, *, location: str = "",
    options: dict[str, Any] | None = None, shared: bool = False,
) -> RawData:  # fmt: skip
    with transaction.atomic():
        raw_data = make_raw_data(
            workspace=workspace, user=user, name=name, origin=origin, source=source, shared=shared, location=location,
            options=options or {}, progress_unit="files",
        )  # fmt: skip
        jobs.enqueue(raw_data.import_job)
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
    revision = newest_revision(workspace, raw_data)
    data = DataRevision(raw_data, workspace, revision)
    problems = Problems()
    with problems.gathered():
        name = _checked_name(Dataset, workspace, name)
    with problems.gathered():
        chosen = _validated(data, {**prefill(raw_data)["parameters"], **parameters})
        counts = recipe.label_counts(data, chosen)
        _require_training_clips(chosen, counts)
        noise_source = _noise_source(workspace, chosen)
    problems.raise_any()
    noise_revision = newest_revision(workspace, noise_source) if noise_source else revision
    with _name_is_free(name):
        return Dataset.objects.create(
            workspace=workspace,
            created_by=user,
            raw_data=raw_data,
            revision=revision,
            noise_source=noise_source,
            noise_revision=noise_revision,
            name=name,
            parameters=chosen.model_dump(),
            counts=counts,
            counted_revision=revision,
        )


def refresh_counts(datasets: Iterable[Dataset]) -> None:
    """Count again what edits of clips have changed since `counts` were counted."""
    _recount(datasets, lambda dataset, revision: dataset.counted_revision != revision)


def count_new_clips(raw_data: RawData) -> None:
    """Count its datasets again, for it has more clips than it had: no revision tells of them."""
    _recount(raw_data.datasets.select_related("raw_data", "workspace"), lambda dataset, revision: True)


def _recount(datasets: Iterable[Dataset], is_stale: Callable[[Dataset, int], bool]) -> None:
    rows = list(datasets)
    edits = ClipEdit.objects.filter(
        workspace__in={row.workspace_id for row in rows}, raw_data__in={row.raw_data_id for row in rows}
    )
    newest = {
        (workspace, raw_data): revision
        for workspace, raw_data, revision in edits.values_list("workspace", "raw_data").annotate(Max("revision"))
    }
    for row in rows:
        revision = newest.get((row.workspace_id, row.raw_data_id), 0)
        if is_stale(row, revision):
            row.counts, row.counted_revision = recipe.label_counts(DataRevision.of(row, revision), row.recipe), revision
            row.save(update_fields=["counts", "counted_revision"])


def rename_dataset(dataset: Dataset, name: str) -> None:
    """Give a dataset another name."""
    dataset.name = _checked_name(Dataset, dataset.workspace, name, but=dataset)
    with _name_is_free(dataset.name):
        dataset.save(update_fields=["name"])


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


def _first_datasets(raw_data: RawData, rows: Any) -> Iterator[str]:
    """Name datasets, with their owner where the raw data's own owner does not see them."""
    for dataset in rows.select_related("workspace").order_by("-id")[:MOST_LISTED]:
        elsewhere = dataset.workspace_id != raw_data.workspace_id
        yield f"dataset “{dataset.name}”" + (f" of {dataset.workspace}" if elsewhere else "")


def _first_names(rows: Any) -> list[str]:
    return list(rows.order_by("-id").values_list("name", flat=True)[:MOST_LISTED])


def _refuse_while_needed(name: str, needed_by: list[str]) -> None:
    if needed_by:
        raise Conflict(f"“{name}” is needed by {', '.join(needed_by)}.", "Delete these first.", needed_by=needed_by)


def count_labels(data: DataRevision, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Count what a dataset would hold: `labels` as [label, {split: clips}], and `warnings` for people."""
    chosen = _validated(data, {**prefill(data.raw_data)["parameters"], **parameters})
    labels = recipe.label_counts(data, chosen)
    return {"labels": labels, "warnings": warnings_about(data, chosen, labels)}


def warnings_about(
    data: DataRevision, chosen: DatasetParameters, labels: Iterable[tuple[str, dict[str, int]]]
) -> list[str]:
    """Say which labels have too few clips to be learnt or judged, and which results would flatter."""
    labels = list(labels)
    warnings = [
        f"{label} has only {sum(splits.values())} clips; from {FEW_CLIPS} on results can be trusted."
        for label, splits in labels
        if label in chosen.keywords and sum(splits.values()) < FEW_CLIPS
    ]
    warnings += _uneven(chosen, dict(labels))
    warnings += _voices_in_several_splits(data, chosen)
    missing = {split: [label for label, splits in labels if not splits[split]] for split in SPLITS}
    return warnings + [f"No {split} clips of {', '.join(lacking)}." for split, lacking in missing.items() if lacking]


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
    parameters: dict[str, Any] = {"sample_rate": rate, "clip_duration_ms": duration}
    read_from = {
        "sample_rate": f"Most clips have {raw_data.sample_rate:,} Hz.",
        "clip_duration_ms": f"The median clip lasts {raw_data.median_milliseconds:,} ms.",
    }
    # Recorded clips are divided by clip, for the first of them come from one person; uploads bring a division.
    if raw_data.origin == Origin.RECORDED and (people := len(recipe.speakers(raw_data))) >= FEWEST_SPEAKERS:
        parameters["split"] = "speaker"
        read_from["split"] = f"{people} people were recorded: each is heard in one part only."
    return {"parameters": parameters, "read_from": read_from}


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
        raise Invalid({"keywords": _not_there(raw_data, labels, unknown)})
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


def noise_sources(workspace: Workspace) -> RawDataQuerySet:
    """Raw data whose noise a dataset of the workspace can use."""
    return RawData.objects.visible_to(workspace).ready().filter(noise_count__gt=0)


def _noise_source(workspace: Workspace, chosen: DatasetParameters) -> RawData | None:
    if chosen.foreign_noise is None:
        return None
    source = noise_sources(workspace).filter(pk=chosen.foreign_noise).first()
    if source is None:
        raise Invalid({"noise": "There is no such raw data with noise in your workspace. Choose another."})
    return source


def _not_there(raw_data: RawData, labels: Iterable[str], words: Iterable[str]) -> str:
    """Say which words are missing, and name words that are like them, or else some that there are."""
    by_letters = {label.casefold(): label for label in labels}
    sentences, guessed = [], True
    for word in words:
        near = [by_letters[match] for match in difflib.get_close_matches(word.casefold(), by_letters, n=3)]
        guessed &= bool(near)
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        sentences.append(f"“{word}” is not in “{raw_data.name}”.{hint}")
    if not guessed:
        sentences.append(f"Its words are {_first(sorted(by_letters.values()))}." if by_letters else "It has no words.")
    return " ".join(sentences)


def _first(words: list[str]) -> str:
    more = len(words) - WORDS_NAMED
    return ", ".join(words[:WORDS_NAMED]) + (f" and {more:,} more" if more > 0 else "")


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
