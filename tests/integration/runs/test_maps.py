"""Maps of clips: what a network hears alike lies together, and what lies among others stands out."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from django.test import Client
from pytest_django import DjangoCaptureOnCommitCallbacks
from rest_framework.test import APIClient

from datasets_app import edits
from datasets_app.models import Clip, RawData
from edgewise import storage
from edgewise.accounts.models import User, Workspace
from edgewise.errors import Conflict
from edgewise.jobs import services as jobs
from edgewise.spec.network import LMUStage, NetworkSpec
from runs_app import maps, services
from runs_app.models import ClipMap, Project, Run
from tests.integration.conftest import client_of
from tests.integration.runs.conftest import dataset_of
from tests.networks import random_network
from tests.unit.engine.tones import RATE, SAMPLES, run_parameters
from workers.attempt import Attempt
from workers.engine.errors import EngineError
from workers.jobs import map_clips

pytestmark = pytest.mark.django_db
SMALLEST = NetworkSpec(stages=[LMUStage(order=3, theta=6, units=12)])
Draw = Callable[[Run], ClipMap]


@pytest.fixture
def run(alice: User, workspace: Workspace, project: Project, tones: RawData) -> Run:
    """A run on tones, with random weights: they are enough to tell a low tone from a high one."""
    parameters = run_parameters(network=SMALLEST)
    run = services.create_run(
        workspace=workspace, user=alice, project=project, name="Tones", dataset=dataset_of(tones),
        parameters=parameters.model_dump(mode="json"),
    )  # fmt: skip
    network = random_network(SMALLEST, sample_rate=RATE, mel_upper_edge_hertz=RATE / 2)
    content = replace(network, clip_samples=SAMPLES).to_bytes()
    run.weights_sha256 = hashlib.sha256(content).hexdigest()
    run.save()
    storage.put_bytes(run.weights_name, content)
    return run


@pytest.fixture
def draw(alice: User, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks) -> Draw:
    """Ask for a map and draw it here, as the worker's child does it."""

    def draw(run: Run) -> ClipMap:
        claimed = jobs.claim(ClipMap, maps.request_map(run=run, user=alice).pk, "worker")
        assert claimed is not None
        with django_capture_on_commit_callbacks(execute=True):
            map_clips.run(Attempt(claimed, threading.Event()))
        return ClipMap.objects.get()

    return draw


def relabel(raw_data: RawData, user: User, name: str, label: str) -> None:
    clips = list(Clip.objects.filter(raw_data=raw_data, name=name).values_list("pk", flat=True))
    edits.relabel_clips(workspace=raw_data.workspace, user=user, raw_data=raw_data, clips=clips, label=label)


def test_what_sounds_alike_lies_together_and_a_wrong_label_stands_out(
    draw: Draw, run: Run, tones: RawData, alice: User
) -> None:
    found = draw(run)
    points = maps.read_points(found)
    assert len(points) == found.clip_count == tones.clips.filter(kind="word").count()
    assert np.mean([point.alike for point in points]) > 0.9
    assert not [point for point in points if point.is_suspect]
    place = {
        label: np.mean([(one.x, one.y) for one in points if one.label == label], axis=0) for label in ("low", "high")
    }
    assert np.linalg.norm(place["low"] - place["high"]) > 1

    chosen = next(point for point in points if point.label == "low" and point.alike == 1)
    relabel(tones, alice, chosen.name, "high")
    (strange,) = [point for point in maps.suspects(maps.read_points(found)) if point.is_suspect]
    assert (strange.clip, strange.label, strange.around) == (chosen.clip, "high", "low")


def test_the_same_clips_give_the_same_map(draw: Draw, run: Run) -> None:
    assert draw(run).points == draw(run).points


def test_excluded_clips_are_on_no_map(draw: Draw, run: Run, tones: RawData, alice: User) -> None:
    clips = [clip.pk for clip in tones.clips.filter(name__in=["0.wav", "1.wav"])]
    edits.exclude_clips(workspace=run.workspace, user=alice, raw_data=tones, clips=clips[:1])
    found = draw(run)
    assert str(clips[0]) not in found.points["clips"]
    edits.exclude_clips(workspace=run.workspace, user=alice, raw_data=tones, clips=clips[1:])
    assert clips[1] not in {point.clip for point in maps.read_points(found)}


def test_too_many_clips_are_drawn_by_lot(draw: Draw, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ClipMap, "MOST_CLIPS", 30)
    assert draw(run).points["clips"] == draw(run).points["clips"]
    assert ClipMap.objects.get().clip_count == 30


def test_few_clips_make_no_map(draw: Draw, run: Run, tones: RawData, alice: User) -> None:
    edits.exclude_clips(
        workspace=run.workspace, user=alice, raw_data=tones, clips=[clip.pk for clip in tones.clips.all()[10:]]
    )
    with pytest.raises(EngineError, match="at least 20 words"):
        draw(run)


def test_a_map_is_asked_for_once(run: Run, alice: User) -> None:
    assert maps.request_map(run=run, user=alice) == maps.request_map(run=run, user=alice)


def test_a_run_without_weights_draws_none(run: Run, alice: User) -> None:
    run.weights_sha256 = ""
    with pytest.raises(Conflict, match="no weights"):
        maps.request_map(run=run, user=alice)


def test_the_page_offers_to_draw_then_waits_then_shows(
    browser: Client, draw: Draw, run: Run, tones: RawData, alice: User
) -> None:
    page = f"/datasets/raw/{tones.pk}/map"
    assert "Draw the map" in browser.get(page).content.decode()
    browser.post(f"{page}/draw", {"run": run.pk})
    assert "job-status" in browser.get(page).content.decode()
    ClipMap.objects.all().delete()
    drawn = maps.read_points(draw(run))
    assert "No clip stands out" in browser.get(f"{page}?run={run.pk}").content.decode()
    wrong = next(point for point in drawn if point.label == "low" and point.alike == 1)
    relabel(tones, alice, wrong.name, "high")
    assert "1 clip to listen to" in browser.get(f"{page}?run={run.pk}").content.decode()
    figure = browser.get(f"/runs/{run.pk}/map.json").json()
    assert {"low", "middle", "high"} <= {trace["name"] for trace in figure["data"]}


def test_data_that_nothing_was_trained_on_has_no_map(browser: Client, run: Run, tones: RawData) -> None:
    Run.objects.update(weights_sha256="")
    assert "needs a trained network" in browser.get(f"/datasets/raw/{tones.pk}/map").content.decode()
    assert browser.post(f"/datasets/raw/{tones.pk}/map/draw", {"run": run.pk}).status_code == 404


def test_maps_by_rest(script: APIClient, draw: Draw, run: Run, bob: User) -> None:
    address = f"/api/v1/runs/{run.pk}/map"
    assert script.get(address).status_code == 404
    made = script.post(address)
    assert (made.status_code, made.json()["points"]) == (201, [])
    ClipMap.objects.all().delete()
    draw(run)
    points = script.get(address).json()["points"]
    assert {point["label"] for point in points} == {"low", "middle", "high"}
    assert client_of(bob).get(address).status_code == 404
