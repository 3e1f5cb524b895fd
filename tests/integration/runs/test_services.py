"""What users do with runs: what is filled in, what is refused and why."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pytest
from django.db.models import F
from django.test import TestCase
from django.utils import timezone

from datasets_app import services as datasets
from datasets_app.models import Dataset
from edgewise import storage
from edgewise.accounts.models import User, Workspace
from edgewise.errors import Conflict, Invalid, NotFound, QueueFull
from edgewise.jobs.models import LogLine, Outbox, State
from edgewise.jobs.services import write_log
from edgewise.spec.network import NETWORKS
from runs_app import services
from runs_app.forms import NetworkEditor
from runs_app.models import Metric, Project, Run, Series
from tests.integration.runs.conftest import make_dataset

pytestmark = pytest.mark.django_db


@pytest.fixture
def optimize(alice: User, workspace: Workspace, project: Project, dataset: Dataset) -> Any:
    """Make a run, as the button does."""

    def make(name: str = "run", initial_weights: Run | None = None, on: Dataset = dataset, **parameters: Any) -> Run:
        return services.create_run(
            workspace=workspace, user=alice, project=project, name=name, dataset=on, parameters=parameters,
            initial_weights=initial_weights,
        )  # fmt: skip

    return make


def refused(make: Any, *args: Any, **parameters: Any) -> dict[str, str]:
    with pytest.raises(Invalid) as caught:
        make(*args, **parameters)
    assert not Run.objects.filter(name="run").exists()
    return caught.value.fields


def test_what_is_left_out_follows_from_dataset_and_network(optimize: Any) -> None:
    run = optimize(network="kws-large", steps=2000, validation_interval=100)
    assert run.settings.sample_rate == 16000
    assert (run.settings.dct_num_features, run.settings.log_epsilon) == (13, 0.01)
    assert run.labels == ["<silence>", "<unknown>", "up", "down", "left"]
    assert (run.state, run.progress_total) == (State.QUEUED, 2000)
    assert Outbox.objects.get().job_id == run.pk


def test_a_short_run_is_validated_too(optimize: Any) -> None:
    assert optimize(steps=10).settings.validation_interval == 10


def test_the_bands_follow_the_datasets_rate(alice: User, dataset: Dataset) -> None:
    low = datasets.create_dataset(
        workspace=dataset.workspace, user=alice, raw_data=dataset.raw_data, name="telephone",
        parameters={"keywords": ["up"], "sample_rate": 8000},
    )  # fmt: skip
    assert services.prefill_run(low)["mel_upper_edge_hertz"] == 4000


@pytest.mark.parametrize("steps", [0, 10**9, "many", float("inf")])
def test_impossible_steps_are_refused(optimize: Any, steps: object) -> None:
    assert "from 1 to 1,000,000" in refused(optimize, steps=steps)["steps"]


def test_what_a_custom_network_prefers_is_judged_too(optimize: Any) -> None:
    stages = [stage.model_dump() for stage in NETWORKS["kws-small"].stages]
    network = {"stages": stages, "defaults": {"mel_upper_edge_hertz": "x"}}
    assert set(refused(optimize, network=network)) == {"mel_upper_edge_hertz"}


def test_a_window_longer_than_the_clips_is_refused(alice: User, dataset: Dataset, optimize: Any) -> None:
    short = datasets.create_dataset(
        workspace=dataset.workspace, user=alice, raw_data=dataset.raw_data, name="short",
        parameters={"keywords": ["up"], "clip_duration_ms": 250},
    )  # fmt: skip
    assert "longer than the dataset's clips" in refused(optimize, on=short, window_size_ms=400)["window_size_ms"]


def test_all_mistakes_are_told_at_once(optimize: Any) -> None:
    assert set(refused(optimize, "", batch_size=0, learning_rate=-1)) == {"name", "batch_size", "learning_rate"}


def test_a_taken_name_is_refused(optimize: Any, trained: Run) -> None:
    assert "taken" in refused(optimize, trained.name)["name"]


def test_a_full_queue_leaves_no_run_behind(optimize: Any, settings: Any) -> None:
    settings.JOB_QUEUE_LIMIT = 1
    optimize("first")
    with pytest.raises(QueueFull, match="queue is full"):
        optimize("second")
    assert not Run.objects.filter(name="second").exists()


def test_weights_of_the_same_network_fit(optimize: Any, trained: Run) -> None:
    assert optimize(initial_weights=trained, steps=200).initial_weights == trained


def test_weights_of_another_network_do_not(optimize: Any, trained: Run) -> None:
    message = refused(optimize, initial_weights=trained, network="kws-large")["initial_weights"]
    assert "its network is kws-small, not kws-large" in message


def test_weights_for_other_features_do_not(optimize: Any, trained: Run) -> None:
    assert "Mel bands" in refused(optimize, initial_weights=trained, mel_num_bins=32)["initial_weights"]


def test_the_list_says_what_each_run_would_give(
    alice: User, workspace: Workspace, trained: Run, dataset: Dataset, optimize: Any
) -> None:
    other = make_dataset(alice, "Other words", ["up", "house"])
    optimize("waiting")
    same = services.initial_weights_choices(workspace, dataset, "kws-small", {})
    assert [(choice.run, choice.compatible, choice.keeps) for choice in same] == [
        (trained, True, "Everything is kept.")
    ]
    fewer = services.initial_weights_choices(workspace, other, "kws-small", {})
    assert "the readout of house" in fewer[0].keeps
    assert (fewer[0].kept, fewer[0].new) == (["<silence>", "<unknown>", "up"], ["house"])
    wrong = services.initial_weights_choices(workspace, dataset, "kws-medium", {})
    assert not wrong[0].compatible
    assert "kws-medium" in wrong[0].reason
    stages = [stage.model_dump() for stage in NETWORKS["kws-small"].stages]
    stages[1]["order"] += 1
    changed = services.initial_weights_choices(workspace, dataset, {"stages": stages}, {})
    assert changed[0].reason == "its network differs in stage 2."


def test_the_estimate_learns_from_earlier_runs(trained: Run, dataset: Dataset) -> None:
    before = services.estimate(dataset, {"steps": 1000})
    assert before["expected_seconds"] is None
    assert before["cost"].total.int8_bytes <= 25_000
    Metric.objects.create(run=trained, series=Series.TRAINING, step=50, loss=1, accuracy=0.5, steps_per_second=20)
    took = datetime.timedelta(seconds=100 / 20 + 15)
    Run.objects.filter(pk=trained.pk).update(attempt=1, started_at=F("finished_at") - took)
    copied = {"stages": [stage.model_dump() for stage in trained.settings.network_spec.stages]}
    for network in (trained.settings.network, copied):
        estimate = services.estimate(dataset, {"steps": 1000, "network": network})
        assert estimate["expected_seconds"] == pytest.approx(1000 / 20 + 15)


def test_the_estimate_learns_from_a_custom_network_made_on_the_page(optimize: Any, dataset: Dataset) -> None:
    network = NetworkEditor.of("kws-small").begun_with("kws-small").changed("add").value
    run = optimize(network=network, steps=100)
    Metric.objects.create(run=run, series=Series.TRAINING, step=50, loss=1, accuracy=0.5, steps_per_second=20)
    now = timezone.now()
    Run.objects.update(attempt=1, state=State.SUCCEEDED, started_at=now, finished_at=now, progress_done=100)
    assert services.estimate(dataset, {"steps": 1000, "network": network})["expected_seconds"] == 1000 / 20


def test_a_dataset_stays_while_a_run_waits_for_it(optimize: Any, dataset: Dataset) -> None:
    optimize("waiting")
    with pytest.raises(Conflict, match="needed by run “waiting”"):
        datasets.delete_dataset(dataset)


def test_a_run_stays_while_others_began_from_it(optimize: Any, trained: Run) -> None:
    optimize("heir", initial_weights=trained)
    with pytest.raises(Conflict, match="where run “heir” began"):
        services.delete_run(trained)


def test_a_run_that_waits_is_not_deleted(optimize: Any) -> None:
    with pytest.raises(Conflict, match="has not ended yet"):
        services.delete_run(optimize())


def test_a_cancelled_run_can_be_resumed_and_deleted(optimize: Any) -> None:
    run = optimize()
    services.cancel_run(run)
    run.refresh_from_db()
    assert run.state == State.CANCELLED
    services.resume_run(run)
    assert run.state == State.QUEUED
    services.cancel_run(run)
    run.refresh_from_db()
    services.delete_run(run)
    assert not Run.objects.exists()


def test_a_project_goes_with_its_runs(project: Project, trained: Run) -> None:
    services.delete_project(project)
    assert not Run.objects.exists()


def test_files_and_log_go_with_a_run(trained: Run, store: Path) -> None:
    for name in (trained.weights_name, trained.manifest_name, f"{trained.folder}/checkpoint/checkpoint.npz"):
        storage.put_bytes(name, b"content")
    write_log(trained, "Step 20.")
    with TestCase.captureOnCommitCallbacks(execute=True):
        services.delete_run(trained)
    assert [path for path in store.rglob("*") if path.is_file()] == []
    assert not LogLine.objects.exists()


def test_what_another_workspace_owns_is_not_there(optimize: Any, bob: User, workspace: Workspace) -> None:
    theirs = make_dataset(bob, "Secret words")
    with pytest.raises(NotFound, match="dataset"):
        optimize(on=theirs)


@pytest.mark.parametrize(
    ("label", "empty", "reason"),
    [("up", "train", "no training clips of up"), ("", "validation", "no validation clips")],
)
def test_a_dataset_that_teaches_nothing_is_refused(
    optimize: Any, dataset: Dataset, label: str, empty: str, reason: str
) -> None:
    for name, counts in dataset.raw_data.label_counts.items():
        if label in ("", name):
            counts[empty] = 0
    assert reason in refused(optimize)["dataset"]


def test_a_dataset_whose_import_failed_is_refused(optimize: Any, dataset: Dataset) -> None:
    imported = dataset.raw_data.import_job
    imported.state = State.FAILED
    imported.save()
    assert "has not ended well" in refused(optimize)["dataset"]


def test_a_name_that_was_taken_meanwhile_is_refused(
    optimize: Any, trained: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "_run_name", lambda project, name: name)
    with pytest.raises(Invalid) as caught:
        optimize(trained.name)
    assert "taken" in caught.value.fields["name"]
