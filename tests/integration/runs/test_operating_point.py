"""The operating point: what it costs, who may choose which, by page and by REST."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from rest_framework.test import APIClient

from edgewise.accounts.models import User
from edgewise.errors import Conflict, Invalid
from edgewise.spec.detection import OperatingPoint
from runs_app import queries, services
from runs_app.models import Evaluation, Run
from tests.integration.conftest import client_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def judged(measured: Run) -> Run:
    Evaluation.objects.create(
        run=measured, clips=3, accuracy=1, balanced_accuracy=1, loss=0.1, report={"intervals": {}, "labels": []},
        confusion=[[int(i == j) for j in range(5)] for i in range(5)],
    )  # fmt: skip
    return measured


def test_what_a_point_costs_is_said_in_words(measured: Run) -> None:
    errors = queries.errors(measured)
    assert errors is not None
    assert errors.sentence == "At threshold 0.25 over 100 ms: 38 false accepts an hour, 10.0% of keywords missed"
    assert [row.share for row in errors.keywords] == [0.2, 0, None]  # one keyword was never spoken
    services.set_operating_point(measured, {"threshold": 0.99, "smoothing_ms": 0})
    errors = queries.errors(measured)
    assert errors is not None
    assert errors.sentence == "At threshold 0.99: 0.5 false accepts an hour, 47.0% of keywords missed"


def test_a_run_without_a_measurement_has_the_default_point(trained: Run) -> None:
    assert trained.operating_point == OperatingPoint()
    assert queries.errors(trained) is None
    with pytest.raises(Conflict, match="No operating points were measured"):
        services.set_operating_point(trained, {"threshold": 0.5})


@pytest.mark.parametrize(
    ("wanted", "name", "words"),
    [
        ({"threshold": 1}, "threshold", "from 0.05 to 0.99"),
        ({"threshold": "high"}, "threshold", "from 0.05 to 0.99"),
        ({"threshold": float("nan")}, "threshold", "from 0.05 to 0.99"),
        ({"threshold": 0.333}, "threshold", "nearest to 0.333 is 0.33"),
        ({"smoothing_ms": 250}, "smoothing_ms", "one of 0, 100, 200, 300, 500"),
        ({"speed": 1}, "speed", "no parameter “speed”"),
    ],
)
def test_what_was_not_measured_is_refused(measured: Run, wanted: dict[str, Any], name: str, words: str) -> None:
    with pytest.raises(Invalid) as refused:
        services.set_operating_point(measured, wanted)
    assert list(refused.value.fields) == [name]
    assert words in refused.value.fields[name]
    measured.refresh_from_db()
    assert measured.operating_point == OperatingPoint(threshold=0.25, smoothing_ms=100)


# --- REST -------------------------------------------------------------------------------------------------------------


def test_the_results_hold_the_operating_point(script: APIClient, judged: Run) -> None:
    found = script.get(f"/api/v1/runs/{judged.pk}/results").json()["operating_point"]
    assert found == {
        "threshold": 0.25, "smoothing_ms": 100, "refractory_ms": 1000, "hours": 2, "false_accepts": 75,
        "false_accepts_per_hour": 37.5, "most_per_hour": 76, "missed": 0.1,
        "keywords": [
            {"keyword": "up", "spoken": 100, "missed": 20}, {"keyword": "down", "spoken": 100, "missed": 0},
            {"keyword": "left", "spoken": 0, "missed": 0},
        ],
    }  # fmt: skip


def test_results_without_a_measurement_hold_no_point(script: APIClient, judged: Run) -> None:
    judged.detection.delete()
    assert script.get(f"/api/v1/runs/{judged.pk}/results").json()["operating_point"] is None
    assert script.get(f"/api/v1/runs/{judged.pk}/detection").status_code == 404


def test_all_points_can_be_read(script: APIClient, measured: Run) -> None:
    found = script.get(f"/api/v1/runs/{measured.pk}/detection").json()
    assert found["hours"] == 2
    assert found["keywords"] == ["up", "down", "left"]
    assert [curve["smoothing_ms"] for curve in found["curves"]] == [0, 100, 200, 300, 500]
    assert len(found["thresholds"]) == len(found["curves"][0]["misses"]) == 95


def test_a_point_is_chosen_by_rest_and_what_is_left_out_stays(script: APIClient, measured: Run) -> None:
    address = f"/api/v1/runs/{measured.pk}/operating-point"
    answer = script.patch(address, {"threshold": 0.62})
    assert answer.status_code == 200
    assert (answer.json()["threshold"], answer.json()["smoothing_ms"]) == (0.62, 100)
    measured.refresh_from_db()
    assert measured.operating_point == OperatingPoint(threshold=0.62, smoothing_ms=100)
    refused = script.patch(address, {"threshold": 2, "smoothing_ms": 1})
    assert refused.status_code == 400
    assert {item["field"] for item in refused.json()["errors"]} == {"threshold", "smoothing_ms"}


def test_a_stranger_neither_reads_nor_chooses(measured: Run, bob: User) -> None:
    script = client_of(bob)
    assert script.get(f"/api/v1/runs/{measured.pk}/detection").status_code == 404
    assert script.patch(f"/api/v1/runs/{measured.pk}/operating-point", {"threshold": 0.62}).status_code == 404


# --- page -------------------------------------------------------------------------------------------------------------


def test_a_point_is_chosen_without_scripts(browser: Client, judged: Run) -> None:
    answer = browser.post(f"/runs/{judged.pk}/operating-point", {"threshold": "0.62", "smoothing_ms": "200"})
    assert answer.status_code == 302
    assert answer["Location"] == f"/runs/{judged.pk}/results#operating-point"
    judged.refresh_from_db()
    assert judged.operating_point == OperatingPoint(threshold=0.62, smoothing_ms=200)
    page = browser.get(f"/runs/{judged.pk}/results").content.decode()
    assert "At threshold 0.62 over 200 ms: 19 false accepts" in page


def test_a_refused_point_stays_in_the_form_with_its_reason(browser: Client, judged: Run) -> None:
    answer = browser.post(f"/runs/{judged.pk}/operating-point", {"threshold": "7", "smoothing_ms": "200"})
    assert answer.status_code == 400
    text = answer.content.decode()
    assert 'value="7"' in text
    assert "Threshold must be a number from 0.05 to 0.99" in text
    assert "At threshold 0.25 over 100 ms" in text


def test_a_preview_changes_nothing(browser: Client, judged: Run) -> None:
    answer = browser.get(f"/runs/{judged.pk}/operating-point", {"threshold": "0.62", "smoothing_ms": "0"})
    assert "At threshold 0.62: 19 false accepts" in answer.content.decode()
    assert "Not in use yet" in answer.content.decode()
    judged.refresh_from_db()
    assert judged.threshold == 0.25


def test_what_was_not_measured_has_no_page(browser: Client, trained: Run) -> None:
    assert browser.get(f"/runs/{trained.pk}/operating-point").status_code == 404
    assert browser.get(f"/runs/{trained.pk}/detection.json").status_code == 404
