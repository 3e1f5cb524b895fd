"""The report of an import on the page: by kind, and page by page."""

from __future__ import annotations

import pytest
from django.test import Client

from datasets_app.models import FileProblem, RawData
from datasets_app.report import PAGE

pytestmark = pytest.mark.django_db


@pytest.fixture
def flawed(words: RawData) -> RawData:
    """Two kinds of problems, one of them on more than one page."""
    codes = ["damaged"] * (PAGE + 1) + ["too-long"]
    FileProblem.objects.bulk_create(
        FileProblem(raw_data=words, name=f"up/{n:03}.wav", code=code, reason="It is so.", remedy="Mend it.")
        for n, code in enumerate(codes)
    )
    words.problem_count = len(codes)
    words.save()
    return words


def test_problems_are_shown_by_kind_and_page_by_page(browser: Client, flawed: RawData) -> None:
    page = f"/datasets/raw/{flawed.pk}/"
    first, last = browser.get(page).content.decode(), browser.get(f"{page}?page=2").content.decode()
    assert "102 files could not be used" in first
    assert f"/api/v1/raw-data/{flawed.pk}/check?format=csv" in first
    assert ("up/000.wav" in first, "up/101.wav" in first) == (True, False)
    assert ("up/000.wav" in last, "up/101.wav" in last) == (False, True)
    long = browser.get(f"{page}?problem=too-long").content.decode()
    assert ("up/000.wav" in long, "up/101.wav" in long) == (False, True)


@pytest.mark.parametrize("query", ["page=x", "page=0", "page=99999999999", "problem=nonsense"])
def test_odd_addresses_show_the_report(browser: Client, flawed: RawData, query: str) -> None:
    assert browser.get(f"/datasets/raw/{flawed.pk}/?{query}").status_code == 200
