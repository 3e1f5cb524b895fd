"""The Deploy page."""

from __future__ import annotations

from html import unescape

import pytest
from django.test import Client

from edgewise.accounts.models import User
from edgewise.spec import client
from runs_app.models import Run
from tests.networks import CLIP_SAMPLES, LABELS

pytestmark = pytest.mark.django_db


@pytest.fixture
def browser(alice: User) -> Client:
    browser = Client(headers={"host": "localhost"})
    browser.force_login(alice)
    return browser


def test_an_artifact_that_is_being_built_is_shown_once(run: Run, browser: Client) -> None:
    browser.post(f"/runs/{run.pk}/deploy", {"format": "binary"})
    page = browser.get(f"/runs/{run.pk}/deploy").text
    assert "Building Binary" in page
    assert "Artifacts made before" not in page


def test_the_page_says_how_the_client_is_installed_as_the_readme_does(run: Run, browser: Client) -> None:
    assert client.INSTALLATION in browser.get(f"/runs/{run.pk}/deploy").text


def test_the_page_writes_the_program_that_talks_to_a_board(run: Run, browser: Client) -> None:
    page = unescape(browser.get(f"/runs/{run.pk}/deploy").text)
    program = client.board_program("DiscoRunner", "DIS_F746NG", CLIP_SAMPLES, LABELS)
    assert program in page
    compile(program, "program", "exec")
