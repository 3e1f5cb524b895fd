"""The Deploy page."""

from __future__ import annotations

import re
from html import unescape

import pytest
from django.template.loader import render_to_string
from django.test import Client

from deploy_app import services
from deploy_app.formats import FORMATS
from edgewise.accounts.models import User
from edgewise.jobs.models import State
from edgewise.spec import client
from runs_app.models import Run
from tests.integration.deploy.conftest import Build
from tests.networks import CLIP_SAMPLES, LABELS

pytestmark = pytest.mark.django_db
BELONGS_TO = re.compile(r'data-format="([^"]*)"( hidden)?')


def test_an_artifact_that_is_being_built_is_shown_once(run: Run, browser: Client) -> None:
    browser.post(f"/runs/{run.pk}/deploy", {"format": "binary"})
    page = browser.get(f"/runs/{run.pk}/deploy").text
    assert "Building Binary" in page
    assert "Artifacts made before" not in page


def test_a_built_artifact_says_in_a_sentence_what_was_proved(
    run: Run, alice: User, build: Build, browser: Client
) -> None:
    artifact = build(services.request_artifact(run=run, user=alice, format="tflite"))
    part = browser.get(f"/artifacts/{artifact.pk}/", headers={"hx-request": "true"}).text
    assert "Computes what was trained: 100% of" in part
    assert "Estimates for boards" in part
    page = browser.get(f"/runs/{run.pk}/deploy").text
    assert f'href="/artifacts/{artifact.pk}/proof"' in page
    proof = browser.get(f"/artifacts/{artifact.pk}/proof").text
    for expected in ("Proof of TFLite", "Trained network", "STM32L4R5, 120 MHz", "never measured on these boards"):
        assert expected in proof


def test_a_failed_artifact_shows_which_stage_differs(run: Run, alice: User, build: Build, browser: Client) -> None:
    artifact = build(services.request_artifact(run=run, user=alice, format="tflite"))
    assert artifact.report is not None
    artifact.report["stages"][1] |= {"status": "differs", "reason": "its scores differ by 1"}
    artifact.state = State.FAILED
    artifact.save()
    part = browser.get(f"/artifacts/{artifact.pk}/", headers={"hx-request": "true"}).text
    assert "TFLite does not compute what was trained." in part
    assert "differs</strong>" in part


def test_what_was_built_before_anything_was_written_down_says_so(run: Run, alice: User, browser: Client) -> None:
    artifact = services.request_artifact(run=run, user=alice, format="tflite")
    assert "Nothing was proved of it" in browser.get(f"/artifacts/{artifact.pk}/proof").text


def test_the_page_says_how_the_client_is_installed_as_the_readme_does(run: Run, browser: Client) -> None:
    assert client.INSTALLATION in browser.get(f"/runs/{run.pk}/deploy").text


@pytest.mark.parametrize("chosen", FORMATS)
def test_the_page_says_how_a_format_is_used_and_nothing_of_others(run: Run, chosen: str) -> None:
    usage = render_to_string("deploy/usage.html", {"run": run, "chosen": chosen})
    shown = [formats.split() for formats, hidden in BELONGS_TO.findall(usage) if not hidden]
    assert shown
    assert all(chosen in formats for formats in shown)


def test_the_page_writes_the_program_that_talks_to_a_board(run: Run, browser: Client) -> None:
    page = unescape(browser.get(f"/runs/{run.pk}/deploy").text)
    program = client.board_program("DiscoRunner", "DIS_F746NG", CLIP_SAMPLES, LABELS)
    assert program in page
    compile(program, "program", "exec")
