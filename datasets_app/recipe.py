"""A dataset as a rule over clips: which clips, with which label, in which split.

Everything is drawn by hashes of (seed, name), so the same recipe over the same clips always gives the same dataset, on
any machine. The database counts and sorts; no page loads the clips themselves. Clips are read at a revision: edits that
come later change what the recipe gives, and the earlier revision still gives what it gave. Clips recorded later have no
revision and join all of them; what a run has heard is kept by its list of clips.
"""

from __future__ import annotations

import hashlib
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db.models import BigIntegerField, Case, CharField, Count, F, Func, QuerySet, Value, When, Window
from django.db.models.functions import Concat, RowNumber

from datasets_app.models import Clip, ClipKind, RawData, Split
from datasets_app.revisions import DataRevision, Edited, LabelCounts
from edgewise.spec.dataset import NO_NOISE, SILENCE, UNKNOWN, DatasetParameters

if TYPE_CHECKING:
    from django_stubs_ext import WithAnnotations

HASHES = 2**32
Counts = dict[str, int]


@dataclass(frozen=True)
class Member:
    """One clip of a dataset."""

    clip_id: uuid.UUID
    offset: int
    length: int
    sample_rate: int
    label: int
    split: str


def label_counts(data: DataRevision, recipe: DatasetParameters) -> list[tuple[str, Counts]]:
    """Count the clips of each label in each split, in the order of the labels."""
    found = _counts_by_label(data, recipe)
    keywords = {word: _capped(found.get(word, {}), recipe) for word in recipe.keywords}
    mean = _mean(keywords.values())
    counts: dict[str, Counts] = dict(keywords)
    if recipe.silence_percentage:
        counts[SILENCE] = _share(mean, recipe.silence_percentage)
    if recipe.unknown_percentage:
        others = Counter[str]()
        for label, splits in found.items():
            if label not in keywords:
                others.update(splits)
        wanted = _share(mean, recipe.unknown_percentage)
        counts[UNKNOWN] = {split: min(wanted[split], others[split]) for split in Split.values}
    return [(label, {split: counts[label].get(split, 0) for split in Split.values}) for label in recipe.labels]


def members(data: DataRevision, recipe: DatasetParameters) -> Iterator[Member]:
    """List the keyword and unknown clips. `<silence>` is cut from the noise by the engine."""
    counts = dict(label_counts(data, recipe))
    labels = {label: index for index, label in enumerate(recipe.labels)}
    clips = _divided(data, recipe)
    keywords = clips.filter(effective_label__in=recipe.keywords)
    if recipe.max_clips_per_keyword:
        keywords = keywords.annotate(place=_drawn_within("effective_label", "divided")).exclude(
            divided=Split.TRAIN, place__gt=recipe.max_clips_per_keyword
        )
    yield from _rows(keywords, labels)
    for split, count in counts.get(UNKNOWN, {}).items():
        others = clips.exclude(effective_label__in=recipe.keywords).filter(divided=split)
        yield from _rows(others.order_by("draw", "name")[:count], labels)


def noise(data: DataRevision, recipe: DatasetParameters) -> list[Clip]:
    """List the noise recordings that the recipe uses; `data` is the raw data that they come from."""
    if recipe.noise == NO_NOISE:
        return []
    return list(data.clips().filter(kind=ClipKind.NOISE, excluded=False).order_by("name"))


def _rows(clips: QuerySet[Any], labels: dict[str, int]) -> Iterator[Member]:
    fields = ("id", "offset", "length", "sample_rate", "effective_label", "divided")
    for clip_id, offset, length, rate, label, split in clips.values_list(*fields).iterator():
        yield Member(clip_id, offset, length, rate, labels.get(label, labels.get(UNKNOWN, -1)), split)


def _counts_by_label(data: DataRevision, recipe: DatasetParameters) -> LabelCounts:
    if recipe.split == "original":
        return data.label_counts()
    rows = _divided(data, recipe).order_by().values_list("effective_label", "divided").annotate(count=Count("id"))
    found: LabelCounts = {}
    for label, split, count in rows:
        found.setdefault(label, {})[split] = count
    return found


def _divided(data: DataRevision, recipe: DatasetParameters) -> QuerySet[Any]:
    """Clips of words with their split as `divided` and a random order as `draw`."""
    words = _words(data).annotate(draw=_hash(recipe.seed, F("name")))
    if recipe.split == "original":
        return words.annotate(divided=F("split"))
    if recipe.split == "clip":
        test = int(HASHES * recipe.test_percentage / 100)
        validation = test + int(HASHES * recipe.validation_percentage / 100)
        divided = _case(When(draw__lt=test, then=Value("test")), When(draw__lt=validation, then=Value("validation")))
    else:
        voices = _speakers_by_split(data.raw_data, recipe)
        divided = _case(*(When(speaker__in=names, then=Value(split)) for split, names in voices.items()))
    return words.annotate(divided=divided)


def _words(data: DataRevision) -> QuerySet[WithAnnotations[Clip, Edited]]:
    return data.clips().filter(kind=ClipKind.WORD, excluded=False)


def speakers(raw_data: RawData) -> list[str]:
    """List the voices that the names tell: of all clips as recorded, so that no edit moves a voice to another part."""
    words = Clip.objects.filter(raw_data=raw_data, kind=ClipKind.WORD).exclude(speaker="")
    return list(words.order_by("speaker").values_list("speaker", flat=True).distinct())


def _speakers_by_split(raw_data: RawData, recipe: DatasetParameters) -> dict[str, list[str]]:
    """Deal whole voices to test and validation, at least one each; clips without a speaker's name stay in training."""

    def draw(name: str) -> bytes:
        return hashlib.md5(f"{recipe.seed}:{name}".encode(), usedforsecurity=False).digest()

    voices = sorted(speakers(raw_data), key=draw)
    tests = max(1, round(len(voices) * recipe.test_percentage / 100))
    validations = max(1, round(len(voices) * recipe.validation_percentage / 100))
    return {"test": voices[:tests], "validation": voices[tests : tests + validations]}


def _case(*whens: When) -> Case:
    return Case(*whens, default=Value("train"), output_field=CharField())


def _hash(seed: int, text: F) -> Func:
    """The first 32 bits of MD5 of seed and text, as a number."""
    return Func(
        Concat(Value(f"{seed}:"), text, output_field=CharField()),
        template="('x' || substr(md5(%(expressions)s), 1, 8))::bit(32)::bigint",
        output_field=BigIntegerField(),
    )


def _drawn_within(*groups: str) -> Window:
    return Window(RowNumber(), partition_by=[F(group) for group in groups], order_by=["draw", "name"])


def _capped(counts: Counts, recipe: DatasetParameters) -> Counts:
    most = recipe.max_clips_per_keyword
    train = counts.get(Split.TRAIN, 0)
    return {**counts, Split.TRAIN: min(train, most) if most else train}


def _mean(keywords: Iterable[Counts]) -> dict[str, float]:
    rows = list(keywords)
    return {split: sum(row.get(split, 0) for row in rows) / len(rows) for split in Split.values}


def _share(mean: dict[str, float], percentage: float) -> Counts:
    """A part of the mean, but never nothing of something."""
    return {split: max(1, round(value * percentage / 100)) if value else 0 for split, value in mean.items()}
