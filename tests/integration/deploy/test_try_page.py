"""The Try it page, until its network is prepared."""

from __future__ import annotations

import pytest
from django.test import Client
from django.utils import timezone

from deploy_app.models import Artifact
from edgewise.accounts.models import User
from edgewise.jobs.models import State
from runs_app.models import Run
from tests.integration.conftest import browser_of

pytestmark = pytest.mark.django_db


def test_the_network_is_prepared_once(run: Run, browser: Client) -> None:
    address = f"/runs/{run.pk}/try"
    assert "Prepare" in browser.get(address).text
    assert browser.post(address, follow=True).redirect_chain == [(address, 302)]
    assert "Building WebAssembly" in browser.post(address, headers={"hx-request": "true"}).text
    artifact = run.artifacts.get()
    assert artifact.format == "c"
    assert artifact.options == {"precision": "float32", "target": "wasm"}


def test_what_is_prepared_is_loaded_from_the_artifact(run: Run, browser: Client) -> None:
    browser.post(f"/runs/{run.pk}/try")
    artifact = run.artifacts.get()
    run.artifacts.update(state=State.SUCCEEDED, finished_at=timezone.now())
    page = browser.get(f"/runs/{run.pk}/try/prepared").text
    assert f'library="/api/v1/artifacts/{artifact.pk}/files/lib/wasm/edgewise.wasm"' in page
    assert f'runner="/api/v1/artifacts/{artifact.pk}/files/edgewise_runner.js"' in page


def test_another_operating_point_is_prepared_anew(run: Run, browser: Client) -> None:
    browser.post(f"/runs/{run.pk}/try")
    Artifact.objects.update(state=State.SUCCEEDED, finished_at=timezone.now())
    Run.objects.filter(pk=run.pk).update(threshold=0.8, smoothing_ms=200)
    page = browser.get(f"/runs/{run.pk}/try").text
    assert "Prepare" in page
    assert "<try-it" not in page


def test_a_failure_is_told_with_its_remedy(run: Run, browser: Client) -> None:
    browser.post(f"/runs/{run.pk}/try")
    Artifact.objects.update(
        state=State.FAILED, finished_at=timezone.now(), failure_reason="There is no compiler.",
        failure_remedy="Install one.",
    )  # fmt: skip
    page = browser.get(f"/runs/{run.pk}/try").text
    assert "There is no compiler." in page
    assert "Install one." in page
    assert "Prepare again" in page


def test_without_weights_there_is_nothing_to_try(untrained: Run, browser: Client) -> None:
    address = f"/runs/{untrained.pk}/try"
    assert "has not ended yet" in browser.get(address).text
    refused = browser.post(address)
    assert refused.status_code == 409
    assert "has not ended yet" in refused.text
    assert not untrained.artifacts.exists()


def test_another_workspaces_run_is_unknown(run: Run, bob: User) -> None:
    assert browser_of(bob).get(f"/runs/{run.pk}/try").status_code == 404
    assert browser_of(bob).post(f"/runs/{run.pk}/try").status_code == 404
