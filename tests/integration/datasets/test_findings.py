"""What the check noticed, from the import to page and API; and that remedies can be undone."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from datasets_app import services
from datasets_app.edits import exclude_clips, relabel_clips, undo_edit
from datasets_app.findings.queries import findings, noticed
from datasets_app.findings.services import exclude_found
from datasets_app.models import Clip, Finding, RawData
from datasets_app.revisions import DataRevision
from edgewise.accounts.models import User, Workspace
from edgewise.accounts.services import give_personal_workspace
from edgewise.errors import Conflict, Invalid
from edgewise.spec.quality import FindingCode
from tests.integration.conftest import client_of
from tests.integration.datasets.conftest import SPEAKERS, Work, make_clips
from tests.unit.audio.recordings import noise, plain_wav, tar

pytestmark = pytest.mark.django_db
COPIES = {"up/copy.wav", "down/again.wav"}


@pytest.fixture
def imported(upload: Callable[..., RawData], work: Work, tmp_path: Path) -> RawData:
    """Noises of two people under two words, two of them twice, and one clip of silence."""
    sounds = {
        f"{word}/{who}_nohash_{n}.wav": noise(6000, seed=100 * place + 10 * n + who_number)
        for place, word in enumerate(("up", "down"))
        for who_number, who in enumerate(SPEAKERS[:2])
        for n in range(6)
    }
    sounds["up/copy.wav"] = sounds[f"up/{SPEAKERS[0]}_nohash_0.wav"]
    sounds["down/again.wav"] = sounds[f"down/{SPEAKERS[1]}_nohash_3.wav"] // 2
    sounds["up/nothing.wav"] = noise(6000) // 4000
    files = {name: plain_wav(samples, 16000) for name, samples in sounds.items()}
    return work(upload(tar(tmp_path / "words.tar.gz", files)))


@pytest.fixture
def doubtful(alice: User) -> RawData:
    """Rows of words, three of which have a finding of their own."""
    rows = [
        {"name": f"{word}/{n:02d}.wav", "label": word, "split": ("train", "test")[n % 2], "speaker": f"anna{n % 5}"}
        for word in ("up", "down")
        for n in range(40)
    ]
    raw_data = make_clips(alice, rows)
    clips = {clip.name: clip for clip in raw_data.clips.all()}
    for name, code, more in (
        ("up/00.wav", FindingCode.WRONG_LABEL, {"suggestion": "down", "score": 0.6}),
        ("up/02.wav", FindingCode.WRONG_LABEL, {"suggestion": "down", "score": 0.9}),
        ("up/01.wav", FindingCode.EXACT_DUPLICATE_ACROSS_SPLITS, {"other": clips["up/06.wav"]}),
        ("down/03.wav", FindingCode.SPEAKER_IN_SEVERAL_SPLITS, {}),
    ):
        Finding.objects.create(raw_data=raw_data, clip=clips[name], code=code, **more)
    return raw_data


@pytest.fixture
def data(doubtful: RawData, workspace: Workspace) -> DataRevision:
    return DataRevision(doubtful, workspace)


def clip(raw_data: RawData, name: str) -> Clip:
    return Clip.objects.get(raw_data=raw_data, name=name)


def counts(data: DataRevision) -> dict[str, tuple[int, int]]:
    return {found.kind.code.value: (found.clips, found.open) for found in noticed(data)}


# --- import -----------------------------------------------------------------------------------------------------------


def test_an_import_notes_what_it_notices(imported: RawData) -> None:
    rows = Finding.objects.filter(raw_data=imported).select_related("clip", "other")
    codes = Counter(row.code for row in rows)
    assert codes["near-silent"] == 1
    copies = [row for row in rows if "duplicate" in row.code]
    pairs = {frozenset((row.clip.name, row.other.name)) for row in copies if row.other}
    assert pairs == {
        frozenset(("up/copy.wav", f"up/{SPEAKERS[0]}_nohash_0.wav")),
        frozenset(("down/again.wav", f"down/{SPEAKERS[1]}_nohash_3.wav")),
    }
    assert {row.code.split("-")[0] for row in copies} == {"exact", "near"}


def test_importing_again_replaces_the_findings(imported: RawData, work: Work) -> None:
    before = Finding.objects.filter(raw_data=imported).count()
    assert before
    imported.clips.all().delete()
    assert Finding.objects.filter(raw_data=imported).count() == 0


# --- remedies ---------------------------------------------------------------------------------------------------------


def test_excluding_settles_and_undoing_opens_again(data: DataRevision, alice: User) -> None:
    assert counts(data)["wrong-label"] == (2, 2)
    edit = exclude_found(data=data, user=alice, code="wrong-label")
    assert (edit.clip_count, edit.reason) == (2, "Probably wrong labels")
    assert counts(data)["wrong-label"] == (2, 0)
    with pytest.raises(Conflict, match="nothing is left"):
        exclude_found(data=data, user=alice, code="wrong-label")
    undo_edit(edit=edit, user=alice)
    assert counts(data)["wrong-label"] == (2, 2)


def test_relabelling_settles_a_doubtful_label_alone(data: DataRevision, workspace: Workspace, alice: User) -> None:
    clips = [clip(data.raw_data, name).pk for name in ("up/00.wav", "up/01.wav")]
    relabel_clips(workspace=workspace, user=alice, raw_data=data.raw_data, clips=clips, label="down")
    assert counts(data)["wrong-label"] == (2, 1)
    assert counts(data)["exact-duplicate-across-splits"] == (1, 1)


def test_excluding_the_other_copy_settles_a_duplicate(data: DataRevision, workspace: Workspace, alice: User) -> None:
    other = clip(data.raw_data, "up/06.wav").pk
    exclude_clips(workspace=workspace, user=alice, raw_data=data.raw_data, clips=[other])
    assert counts(data)["exact-duplicate-across-splits"] == (1, 0)


def test_of_three_copies_one_stays_whichever_is_excluded_first(
    data: DataRevision, workspace: Workspace, alice: User
) -> None:
    kept, *copies = [clip(data.raw_data, name) for name in ("down/06.wav", "down/08.wav", "down/10.wav")]
    code = FindingCode.EXACT_DUPLICATE
    for copy in copies:
        Finding.objects.create(raw_data=data.raw_data, clip=copy, other=kept, code=code)
    exclude_clips(workspace=workspace, user=alice, raw_data=data.raw_data, clips=[kept.pk])
    assert counts(data)[code] == (2, 1)
    exclude_found(data=data, user=alice, code=code)
    assert counts(data)[code] == (2, 0)
    assert data.clips().filter(pk__in=[copy.pk for copy in copies], excluded=False).count() == 1


def test_speakers_are_people_whose_names_are_known(data: DataRevision) -> None:
    assert [found.speakers for found in noticed(data)] == [2, 1, 1]
    Clip.objects.filter(raw_data=data.raw_data).update(speaker="")
    assert [found.speakers for found in noticed(data)] == [0, 0, 0]


def test_what_one_workspace_settles_stays_open_for_others(data: DataRevision, alice: User, bob: User) -> None:
    RawData.objects.filter(pk=data.raw_data.pk).update(shared=True)
    exclude_found(data=data, user=alice, code="wrong-label")
    others = DataRevision(data.raw_data, give_personal_workspace(bob))
    assert counts(others)["wrong-label"] == (2, 2)


def test_an_unknown_kind_is_refused(data: DataRevision, alice: User) -> None:
    with pytest.raises(Invalid, match="no kind of finding"):
        exclude_found(data=data, user=alice, code="boring")


# --- pages and API ----------------------------------------------------------------------------------------------------


def test_the_page_lists_findings_and_excludes_them(browser: Client, doubtful: RawData) -> None:
    page = browser.get(f"/datasets/raw/{doubtful.pk}/").content.decode()
    assert "What we noticed" in page
    assert page.index("Probably wrong labels") < page.index("The same recording in two splits")
    assert "Split by speaker" in page
    after = browser.post(f"/datasets/raw/{doubtful.pk}/findings/wrong-label/exclude", follow=True).content.decode()
    assert "2 clips excluded" in after
    assert "Undo" in after
    assert "sounds like down" in after
    assert "done" in browser.get(f"/datasets/raw/{doubtful.pk}/").content.decode()


def test_clips_are_filtered_by_finding(browser: Client, doubtful: RawData) -> None:
    page = browser.get(f"/datasets/raw/{doubtful.pk}/clips?finding=wrong-label").content.decode()
    assert page.count("data-clip") == 2


def test_data_without_findings_says_so(browser: Client, alice: User) -> None:
    raw_data = make_clips(alice, [{"name": "up/0.wav", "label": "up", "split": "train"}])
    assert "no label that looks wrong" in browser.get(f"/datasets/raw/{raw_data.pk}/").content.decode()


def test_queries_do_not_grow_with_findings(browser: Client, doubtful: RawData) -> None:
    def asked() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert browser.get(f"/datasets/raw/{doubtful.pk}/").status_code == 200
        return len(captured)

    few = asked()
    Finding.objects.bulk_create(
        Finding(raw_data=doubtful, clip=one, code=FindingCode.CLIPPED) for one in doubtful.clips.all()
    )
    assert asked() == few


def test_the_api_lists_counts_and_settles(script: APIClient, doubtful: RawData) -> None:
    address = f"/api/v1/raw-data/{doubtful.pk}/findings"
    listed = script.get(address, {"code": "wrong-label"}).json()["results"]
    assert [(one["suggestion"], one["score"], one["settled"]) for one in listed] == [
        ("down", 0.9, False), ("down", 0.6, False),
    ]  # fmt: skip
    assert [one["code"] for one in script.get(f"{address}/counts").json()] == [
        "wrong-label", "exact-duplicate-across-splits", "speaker-in-several-splits",
    ]  # fmt: skip
    made = script.post(f"{address}/exclude", {"code": "wrong-label"}, format="json")
    assert (made.status_code, made.json()["clip_count"]) == (201, 2)
    assert script.get(address, {"settled": "false"}).json()["results"][0]["code"] != "wrong-label"
    assert script.post(f"{address}/exclude", {"code": "wrong-label"}, format="json").status_code == 409


def test_findings_of_others_are_not_there(doubtful: RawData, bob: User) -> None:
    assert client_of(bob).get(f"/api/v1/raw-data/{doubtful.pk}/findings").status_code == 404


# --- before training --------------------------------------------------------------------------------------------------


def test_the_new_dataset_dialog_warns(browser: Client, doubtful: RawData) -> None:
    page = browser.get(f"/datasets/raw/{doubtful.pk}/new").content.decode()
    assert "Before you train" in page
    assert "Probably wrong labels" in page
    chosen = browser.get(f"/datasets/raw/{doubtful.pk}/new?split=speaker").content.decode()
    assert re.search(r'value="speaker"\s+selected', chosen)
    assert not re.search(r'value="speaker"\s+selected', page)


def test_voices_in_several_splits_are_a_warning_unless_split_by_speaker(data: DataRevision, alice: User) -> None:
    def warnings(split: str) -> str:
        return " ".join(services.count_labels(data, {"keywords": ["up"], "split": split})["warnings"])

    assert "Split by speaker instead" in warnings("original")
    assert "Split by speaker instead" in warnings("clip")
    assert "Split by speaker instead" not in warnings("speaker")
    exclude_found(data=data, user=alice, code="speaker-in-several-splits")
    assert "Split by speaker instead" not in warnings("original")


def test_uneven_keywords_are_a_warning(alice: User, workspace: Workspace) -> None:
    rows = [
        {"name": f"{word}/{n}.wav", "label": word, "split": "train"}
        for word, count in (("up", 180), ("down", 60))
        for n in range(count)
    ]
    data = DataRevision(make_clips(alice, rows), workspace)
    warnings = services.count_labels(data, {"keywords": ["up", "down"]})["warnings"]
    assert any("up has 180 training clips and down only 60" in warning for warning in warnings)
    assert findings(data).count() == 0
