"""The recipe: counts and members agree, nothing depends on chance, and the database does the work."""

from __future__ import annotations

import uuid
from collections import Counter
from typing import Any

import pytest
from django.db import connection
from pytest_django import DjangoAssertNumQueries

from datasets_app import recipe
from datasets_app.models import Clip, Origin, RawData
from datasets_app.revisions import DataRevision
from edgewise.accounts.models import User
from edgewise.accounts.services import give_personal_workspace
from edgewise.spec.dataset import DatasetParameters
from tests.integration.datasets.conftest import make_clips, settle

pytestmark = pytest.mark.django_db
SPLITS = ("train", "validation", "test")
WORDS = {"up": 60, "down": 40, "left": 90, "yes": 30, "no": 10}
SPEAKERS = 25


@pytest.fixture
def raw_data(alice: User) -> RawData:
    """Words of different frequency by 25 people, 80 / 10 / 10."""
    parts = ["train"] * 8 + ["validation", "test"]
    rows: list[dict[str, Any]] = [
        {"name": f"{word}/{n}.wav", "label": word, "speaker": f"s{n % SPEAKERS}", "split": parts[n % 10]}
        for word, count in WORDS.items()
        for n in range(count)
    ]
    rows += [{"name": f"n{n}.wav", "label": "_background_noise_", "kind": "noise", "split": "train"} for n in range(3)]
    return make_clips(alice, rows)


def now(raw_data: RawData) -> DataRevision:
    """As the owner sees it."""
    return DataRevision(raw_data, raw_data.workspace)


def made(**parameters: Any) -> DatasetParameters:
    return DatasetParameters.model_validate({"keywords": ["left", "up"], **parameters})


def members_by_label(raw_data: RawData, chosen: DatasetParameters) -> dict[str, dict[str, int]]:
    found = Counter((chosen.labels[member.label], member.split) for member in recipe.members(now(raw_data), chosen))
    return {label: {split: found[label, split] for split in SPLITS} for label in chosen.labels}


RECIPES = [
    {},
    {"unknown_percentage": 0},
    {"unknown_percentage": 200},
    {"silence_percentage": 0},
    {"max_clips_per_keyword": 7},
    {"split": "clip"},
    {"split": "clip", "validation_percentage": 40, "test_percentage": 40},
    {"split": "clip", "seed": 3, "max_clips_per_keyword": 20, "unknown_percentage": 50},
    {"split": "speaker"},
    {"split": "speaker", "validation_percentage": 30, "test_percentage": 20, "seed": 9},
]


@pytest.mark.parametrize("parameters", RECIPES)
def test_members_are_as_many_as_counted(raw_data: RawData, parameters: dict[str, Any]) -> None:
    chosen = made(**parameters)
    counted = dict(recipe.label_counts(now(raw_data), chosen))
    assert list(counted) == chosen.labels
    silence = counted.pop("<silence>", None)
    assert (silence is None) == (chosen.silence_percentage == 0)
    listed = members_by_label(raw_data, chosen)
    listed.pop("<silence>", None)
    assert listed == counted


def test_the_datas_own_split(raw_data: RawData) -> None:
    counts = dict(recipe.label_counts(now(raw_data), made()))
    assert counts["left"] == {"train": 72, "validation": 9, "test": 9}
    assert counts["up"] == {"train": 48, "validation": 6, "test": 6}


def test_unknown_and_silence_are_parts_of_the_mean_in_each_split(raw_data: RawData) -> None:
    counts = dict(recipe.label_counts(now(raw_data), made(unknown_percentage=50, silence_percentage=10)))
    # Means of the keywords: 60 / 7.5 / 7.5.
    assert counts["<unknown>"] == {"train": 30, "validation": 4, "test": 4}
    assert counts["<silence>"] == {"train": 6, "validation": 1, "test": 1}


def test_there_is_never_less_than_one(raw_data: RawData) -> None:
    counts = dict(recipe.label_counts(now(raw_data), made(unknown_percentage=0.1, silence_percentage=0.1)))
    assert set(counts["<unknown>"].values()) == set(counts["<silence>"].values()) == {1}


def test_there_are_never_more_unknown_than_there_are(raw_data: RawData) -> None:
    counts = dict(
        recipe.label_counts(now(raw_data), made(keywords=["left", "up", "down", "yes"], unknown_percentage=200))
    )
    assert counts["<unknown>"] == {"train": 8, "validation": 1, "test": 1}


def test_unknown_words_are_drawn_from_all_others(raw_data: RawData) -> None:
    chosen = made(unknown_percentage=100)
    unknown = [
        member.clip_id for member in recipe.members(now(raw_data), chosen) if chosen.labels[member.label] == "<unknown>"
    ]
    labels = set(Clip.objects.filter(pk__in=unknown).values_list("label", flat=True))
    assert labels == {"down", "yes", "no"}


def drawn(raw_data: RawData, **parameters: Any) -> set[tuple[uuid.UUID, str]]:
    return {(member.clip_id, member.split) for member in recipe.members(now(raw_data), made(**parameters))}


@pytest.mark.parametrize("parameters", RECIPES)
def test_the_same_recipe_gives_the_same_dataset(raw_data: RawData, parameters: dict[str, Any]) -> None:
    assert drawn(raw_data, **parameters) == drawn(raw_data, **parameters)


@pytest.mark.parametrize("split", ["clip", "speaker"])
def test_another_seed_gives_another_split(raw_data: RawData, split: str) -> None:
    assert drawn(raw_data, split=split, seed=1) != drawn(raw_data, split=split, seed=2)


def test_no_clip_is_taken_twice(raw_data: RawData) -> None:
    for parameters in RECIPES:
        ids = [member.clip_id for member in recipe.members(now(raw_data), made(**parameters))]
        assert len(ids) == len(set(ids))


def test_a_cap_limits_training_alone(raw_data: RawData) -> None:
    counts = dict(recipe.label_counts(now(raw_data), made(max_clips_per_keyword=10)))
    assert counts["left"] == {"train": 10, "validation": 9, "test": 9}


def train_clips(data: DataRevision, label: str, **parameters: Any) -> set[uuid.UUID]:
    chosen = made(**parameters)
    found = recipe.members(data, chosen)
    return {member.clip_id for member in found if (chosen.labels[member.label], member.split) == (label, "train")}


@pytest.mark.parametrize("split", ["original", "clip", "speaker"])
def test_a_cap_draws_by_the_seed(raw_data: RawData, split: str) -> None:
    data = now(raw_data)
    few, more = (train_clips(data, "left", split=split, max_clips_per_keyword=most) for most in (10, 20))
    assert (len(few), len(more)) == (10, 20)
    assert few < more
    other = {"split": "original", "max_clips_per_keyword": 10}
    assert train_clips(data, "left", **other, seed=1) != train_clips(data, "left", **other, seed=2)


@pytest.mark.parametrize(
    ("validation", "test", "expected"), [(20, 40, (10, 5, 10)), (4, 4, (23, 1, 1)), (1, 1, (23, 1, 1))]
)
def test_voices_are_dealt_in_the_parts_that_were_asked_for(
    raw_data: RawData, validation: float, test: float, expected: tuple[int, int, int]
) -> None:
    chosen = made(split="speaker", validation_percentage=validation, test_percentage=test, unknown_percentage=200)
    speakers = dict(Clip.objects.filter(raw_data=raw_data).values_list("pk", "speaker"))
    voices: dict[str, set[str]] = {split: set() for split in SPLITS}
    for member in recipe.members(now(raw_data), chosen):
        voices[member.split].add(speakers[member.clip_id])
    assert tuple(len(voices[split]) for split in SPLITS) == expected


def test_voices_stay_in_one_part(raw_data: RawData) -> None:
    chosen = made(split="speaker", unknown_percentage=200)
    speakers = dict(Clip.objects.filter(raw_data=raw_data).values_list("pk", "speaker"))
    parts: dict[str, set[str]] = {}
    for member in recipe.members(now(raw_data), chosen):
        parts.setdefault(speakers[member.clip_id], set()).add(member.split)
    assert all(len(splits) == 1 for splits in parts.values())
    assert Counter(next(iter(splits)) for splits in parts.values()) == {"train": 21, "validation": 2, "test": 2}


def test_clips_whose_speaker_is_unknown_are_for_training(raw_data: RawData) -> None:
    Clip.objects.filter(raw_data=raw_data, speaker__in=["s0", "s1", "s2"]).update(speaker="")
    unnamed = set(Clip.objects.filter(raw_data=raw_data, speaker="").values_list("pk", flat=True))
    chosen = made(split="speaker", unknown_percentage=200)
    splits = {member.split for member in recipe.members(now(raw_data), chosen) if member.clip_id in unnamed}
    assert splits == {"train"}


def test_a_clip_split_is_as_large_as_asked(alice: User) -> None:
    rows = [{"name": f"up/{n}.wav", "label": "up", "split": "train"} for n in range(4000)]
    chosen = DatasetParameters(keywords=["up"], split="clip", validation_percentage=20, test_percentage=45)
    counts = dict(recipe.label_counts(now(make_clips(alice, rows)), chosen))["up"]
    assert counts["validation"] == pytest.approx(800, abs=100)
    assert counts["test"] == pytest.approx(1800, abs=130)


def test_noise(raw_data: RawData) -> None:
    assert [clip.name for clip in recipe.noise(now(raw_data), made())] == ["n0.wav", "n1.wav", "n2.wav"]
    assert recipe.noise(now(raw_data), made(noise="none")) == []


@pytest.fixture
def hundred_thousand(alice: User) -> RawData:
    """As large as Speech Commands: 35 words by 2,500 people."""
    counts = {f"word{n}": {"train": 2286, "validation": 286, "test": 286} for n in range(35)}
    raw_data = RawData.objects.create(
        workspace=give_personal_workspace(alice), created_by=alice, name="Large", origin=Origin.UPLOADED,
        label_counts=counts,
    )  # fmt: skip
    settle(raw_data)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO datasets_app_clip (id, raw_data_id, name, kind, label, speaker, split, "
            '"offset", length, sample_rate, peak_dbfs, rms_dbfs) '
            "SELECT gen_random_uuid(), %s, 'word' || n %% 35 || '/' || n || '.wav', 'word', 'word' || n %% 35, "
            "'s' || n %% 2500, (ARRAY['train','train','train','train','train','train','train','train','validation',"
            "'test'])[1 + (n / 35) %% 10], n::bigint * 16000, 16000, 16000, -3, -20 FROM generate_series(1, 100000) n",
            [raw_data.pk],
        )
        cursor.execute("ANALYZE datasets_app_clip")
    return raw_data


@pytest.mark.parametrize("split", ["original", "clip", "speaker"])
def test_counting_takes_two_queries_at_100000_clips(
    hundred_thousand: RawData, split: str, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    chosen = DatasetParameters.model_validate({"keywords": ["word1", "word2"], "split": split})
    with django_assert_max_num_queries(2):
        recipe.label_counts(now(hundred_thousand), chosen)
    assert len(list(recipe.members(now(hundred_thousand), chosen))) > 5000
