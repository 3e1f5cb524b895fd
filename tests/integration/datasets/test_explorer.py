"""The explorer's pages and REST calls: find clips, page through them, edit, undo, look back."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from datasets_app.explorer import queries
from datasets_app.explorer.filters import ClipFilter, explored
from datasets_app.models import Clip, ClipEdit, Finding, RawData
from datasets_app.revisions import DataRevision
from edgewise.accounts.models import User, Workspace
from edgewise.spec.quality import FindingCode
from tests.integration.conftest import client_of
from tests.integration.datasets.conftest import SPLITS, make_clips

pytestmark = pytest.mark.django_db


@pytest.fixture
def raw_data(alice: User) -> RawData:
    """Three words by five people, one clip with each fault, and noise."""
    rows: list[dict[str, Any]] = [
        {"name": f"{word}/{n:02d}.wav", "label": word, "split": SPLITS[n % 10], "speaker": f"anna{n % 5}"}
        for word in ("up", "down", "left")
        for n in range(30)
    ]
    rows.append({"name": "hum.wav", "label": "_background_noise_", "kind": "noise", "split": "train"})
    raw_data = make_clips(alice, rows)
    for name, changes in {
        "up/00.wav": {"rms_dbfs": -70},
        "up/01.wav": {"peak_dbfs": 0},
        "up/02.wav": {"length": 4000},
        "up/03.wav": {"length": 40000},
        "up/04.wav": {"rms_dbfs": -5, "length": 16001},
    }.items():
        Clip.objects.filter(raw_data=raw_data, name=name).update(**changes)
    silent = Clip.objects.get(raw_data=raw_data, name="up/00.wav")
    Finding.objects.create(raw_data=raw_data, clip=silent, code=FindingCode.NEAR_SILENT)
    return raw_data


def clip(raw_data: RawData, name: str) -> Clip:
    return Clip.objects.get(raw_data=raw_data, name=name)


def shown(answer: Any) -> list[str]:
    """Names of the clips on the page."""
    return re.findall(r'aria-label="Select ([^"]+)"', answer.content.decode())


# --- finding ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("search=P/07", ["up/07.wav"]),
        ("search=anna3&label=up&split=test", []),
        ("label=up&split=test", ["up/09.wav", "up/19.wav", "up/29.wav"]),
        ("speaker=anna4&label=up&split=validation", []),
        ("kind=noise", ["hum.wav"]),
        ("finding=near-silent", ["up/00.wav"]),
        ("finding=clipped", []),
        ("state=excluded", ["left/00.wav"]),
        ("state=relabelled", ["left/01.wav"]),
        ("state=edited", ["left/00.wav", "left/01.wav"]),
        ("state=included&label=down&search=left", ["left/01.wav"]),
        ("label=down&search=0&state=relabelled", ["left/01.wav"]),
    ],
)
def test_page_and_api_find_the_same_clips(
    browser: Client, script: APIClient, raw_data: RawData, query: str, names: list[str]
) -> None:
    edits = f"/api/v1/raw-data/{raw_data.pk}/edits"
    script.post(edits, {"action": "exclude", "clips": [clip(raw_data, "left/00.wav").pk]})
    script.post(edits, {"action": "relabel", "label": "down", "clips": [clip(raw_data, "left/01.wav").pk]})
    assert shown(browser.get(f"/datasets/raw/{raw_data.pk}/clips?{query}")) == names
    found = script.get(f"/api/v1/raw-data/{raw_data.pk}/clips?{query}").json()["results"]
    assert sorted(row["name"] for row in found) == names


def test_nonsense_in_the_address_filters_nothing(browser: Client, raw_data: RawData) -> None:
    answer = browser.get(f"/datasets/raw/{raw_data.pk}/clips?split=moon&order=colour&after=x&edit=1")
    assert len(shown(answer)) == queries.CLIPS_ON_A_PAGE


@pytest.mark.parametrize("order", list(queries.ORDERS))
def test_pages_go_forth_and_back_through_all_clips(
    raw_data: RawData, workspace: Workspace, monkeypatch: pytest.MonkeyPatch, order: str
) -> None:
    monkeypatch.setattr(queries, "CLIPS_ON_A_PAGE", 7)
    data = DataRevision(raw_data, workspace)
    _, key, is_descending = queries.ORDERS[order]
    wanted = ClipFilter({}, explored(data))
    rows = sorted(explored(data), key=lambda row: (getattr(row, key), row.pk), reverse=is_descending)
    expected = [row.pk for row in rows]
    forth, page = list[Any](), queries.clip_page(data, wanted, order, None, None)
    assert page.before is None
    while True:
        forth += [row.pk for row in page.clips]
        if page.after is None:
            break
        page = queries.clip_page(data, wanted, order, None, page.after)
    assert forth == expected
    back = list[Any]()
    while True:
        back = [row.pk for row in page.clips] + back
        if page.before is None:
            break
        page = queries.clip_page(data, wanted, order, page.before, None)
    assert back == expected


def test_more_clips_cost_no_more_queries(browser: Client, alice: User, raw_data: RawData) -> None:
    few = make_clips(alice, [{"name": "a", "label": "up", "split": "train"}], name="Few")

    def asked(row: RawData, page: str) -> int:
        with CaptureQueriesContext(connection) as captured:
            assert browser.get(f"/datasets/raw/{row.pk}/{page}").status_code == 200
        return len(captured)

    for page in ("", "clips", "clips?label=up&order=longest", "edits"):
        assert asked(raw_data, page) == asked(few, page) <= 12


def test_the_overview_draws_what_is_not_excluded(browser: Client, script: APIClient, raw_data: RawData) -> None:
    charts = browser.get(f"/datasets/raw/{raw_data.pk}/").context["page"].histograms
    assert [chart.title for chart in charts] == ["Duration", "Level"]
    assert charts[1].low == "-72 dBFS"
    script.post(
        f"/api/v1/raw-data/{raw_data.pk}/edits", {"action": "exclude", "clips": [clip(raw_data, "up/00.wav").pk]}
    )
    charts = browser.get(f"/datasets/raw/{raw_data.pk}/").context["page"].histograms
    assert charts[1].low == "-20 dBFS"


# --- editing on the page ----------------------------------------------------------------------------------------------


def test_ticked_clips_are_edited_and_the_edit_is_undone(browser: Client, raw_data: RawData, alice: User) -> None:
    ticked = [clip(raw_data, name).pk for name in ("up/05.wav", "up/06.wav")]
    page = f"/datasets/raw/{raw_data.pk}/clips"
    answer = browser.post(f"{page}/edit?label=up", {"action": "relabel", "label": "down", "clip": ticked}, follow=True)
    assert "2 clips relabelled “down”" in answer.content.decode()
    assert "up/05.wav" not in shown(answer)
    edit = ClipEdit.objects.get()
    [returns_to] = re.findall(r'name="next" value="([^"]*)"', answer.content.decode())
    answer = browser.post(f"{page[:-6]}/edits/{edit.pk}/undo", {"next": unescape(returns_to)}, follow=True)
    assert answer.redirect_chain == [(f"{page}?label=up", 302)]
    assert "up/05.wav" in shown(answer)
    history = browser.get(f"{page[:-6]}/edits").content.decode()
    assert "An edit of 2 clips undone" in history
    assert "undone by edit 2" in history
    assert str(alice) in history


def test_all_that_match_are_edited(browser: Client, raw_data: RawData) -> None:
    page = f"/datasets/raw/{raw_data.pk}/clips"
    browser.post(f"{page}/edit?label=left&split=test", {"action": "exclude", "all": "on", "matching": 3})
    assert shown(browser.get(f"{page}?state=excluded")) == ["left/09.wav", "left/19.wav", "left/29.wav"]
    edit = ClipEdit.objects.get()
    assert len(shown(browser.get(f"{page}?edit={edit.pk}"))) == edit.clip_count == 3


def test_an_edit_of_others_tells_nothing_of_its_clips(raw_data: RawData, script: APIClient, bob: User) -> None:
    RawData.objects.filter(pk=raw_data.pk).update(shared=True)
    body = {"action": "exclude", "clips": [clip(raw_data, "up/05.wav").pk]}
    edit = script.post(f"/api/v1/raw-data/{raw_data.pk}/edits", body).json()["id"]
    address = f"/api/v1/raw-data/{raw_data.pk}/clips?edit={edit}"
    assert len(script.get(address).json()["results"]) == 1
    assert client_of(bob).get(address).json()["results"] == []


def test_all_that_match_now_may_not_be_what_was_seen(browser: Client, raw_data: RawData) -> None:
    answer = browser.post(
        f"/datasets/raw/{raw_data.pk}/clips/edit?label=left", {"action": "exclude", "all": "on", "matching": 29}
    )
    assert answer.status_code == 409
    assert "30 clips match now" in answer.content.decode()
    assert not ClipEdit.objects.exists()


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        ({"action": "exclude"}, "No clip is selected"),
        ({"action": "relabel", "label": ""}, "Give the word"),
        ({"action": "explode"}, "Choose what to do"),
    ],
)
def test_what_is_refused_is_said_on_the_page_and_nothing_is_lost(
    browser: Client, raw_data: RawData, sent: dict[str, Any], says: str
) -> None:
    ticked = [] if sent["action"] == "exclude" else [clip(raw_data, "up/05.wav").pk]
    answer = browser.post(f"/datasets/raw/{raw_data.pk}/clips/edit?label=up", {**sent, "clip": ticked})
    assert answer.status_code == 400
    assert says in answer.content.decode()
    assert len(re.findall(r'name="clip"[^>]+checked', answer.content.decode())) == len(ticked)


@pytest.mark.parametrize("number", ["x", "9" * 18, "9" * 5000])
def test_numbers_of_pages_that_there_are_not(browser: Client, raw_data: RawData, number: str) -> None:
    for address in (f"edits?before={number}", f"?page={number}"):
        assert browser.get(f"/datasets/raw/{raw_data.pk}/{address}").status_code == 200


def test_an_undo_leads_to_no_other_site(browser: Client, script: APIClient, raw_data: RawData) -> None:
    address = f"/api/v1/raw-data/{raw_data.pk}/edits"
    made = script.post(address, {"action": "exclude", "clips": [clip(raw_data, "up/05.wav").pk]}).json()
    undo = f"/datasets/raw/{raw_data.pk}/edits/{made['id']}/undo"
    assert browser.post(undo, {"next": "https://example.org/"})["Location"] == f"/datasets/raw/{raw_data.pk}/edits"
    assert browser.post(undo).status_code == 409


# --- REST -------------------------------------------------------------------------------------------------------------


def test_edits_by_rest(script: APIClient, alice: User, raw_data: RawData) -> None:
    address = f"/api/v1/raw-data/{raw_data.pk}/edits"
    wrong = clip(raw_data, "up/05.wav")
    asked = {"action": "relabel", "label": "down", "clips": [wrong.pk], "reason": "heard it"}
    made = script.post(address, asked)
    assert made.status_code == 201
    body = made.json()
    assert (body["revision"], body["clip_count"], body["author"], body["reason"]) == (1, 1, alice.email, "heard it")
    read = script.get(f"/api/v1/raw-data/{raw_data.pk}/clips/{wrong.pk}").json()
    assert (read["label"], read["recorded_label"], read["excluded"]) == ("down", "up", False)
    undone = script.post(f"{address}/{body['id']}/undo")
    assert (undone.status_code, undone.json()["undoes"]) == (201, body["id"])
    assert script.post(f"{address}/{body['id']}/undo").status_code == 409
    listed = script.get(address).json()["results"]
    assert [(row["revision"], row["action"]) for row in listed] == [(2, "undo"), (1, "relabel")]
    assert listed[1]["undone_by"] == undone.json()["id"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"action": "undo", "clips": []}, "action"),
        ({"action": "exclude"}, "clips"),
        ({"action": "exclude", "clips": []}, "clips"),
        ({"action": "exclude", "clips": ["0190a000-0000-7000-8000-000000000000"]}, "clips"),
    ],
)
def test_rest_names_the_field_that_is_wrong(
    script: APIClient, raw_data: RawData, body: dict[str, Any], field: str
) -> None:
    answer = script.post(f"/api/v1/raw-data/{raw_data.pk}/edits", body)
    assert answer.status_code == 400
    assert {problem["field"].split(".")[0] for problem in answer.json()["errors"]} == {field}


def test_edits_of_others_are_not_there(script: APIClient, bob: User, raw_data: RawData) -> None:
    RawData.objects.filter(pk=raw_data.pk).update(shared=True)
    address = f"/api/v1/raw-data/{raw_data.pk}/edits"
    made = script.post(address, {"action": "exclude", "clips": [clip(raw_data, "up/05.wav").pk]}).json()
    other = client_of(bob)
    assert other.get(address).json()["results"] == []
    assert other.post(f"{address}/{made['id']}/undo").status_code == 404
    read = other.get(f"/api/v1/raw-data/{raw_data.pk}/clips?search=up/05").json()["results"]
    assert [row["excluded"] for row in read] == [False]
