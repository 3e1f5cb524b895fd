"""Training: it learns, ends as it should, and goes on exactly where it was stopped."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from threadpoolctl import threadpool_info

from edgewise.spec.network import LMUStage, NetworkSpec, RecurrentLMUStage
from edgewise.spec.run import RunParameters
from tests.unit.engine.tones import LABELS, TINY, run_parameters, tones
from workers.engine import checkpoints, events, training
from workers.engine.data import TrainingData
from workers.engine.errors import EngineError, OutOfMemory, TrainingDiverged
from workers.engine.evaluation import judge
from workers.engine.events import CheckpointSaved, Event, Note, Resumed, Saving, TrainingProgress, Validated
from workers.engine.inference import infer
from workers.engine.training import Outcome, dispatch_size, learning_rate, plan, train
from workers.engine.weights import BEST, TrainedNetwork

ROOT = Path(__file__).resolve().parents[3]

ONE_STAGE = NetworkSpec(stages=[LMUStage(order=3, theta=8, units=12, projection=8)])
"""Compiled in half the time, where the network does not matter."""

FULL = {"network": ONE_STAGE, "validation_interval": 7}
"""Dispatches end at 7, 14, …, 49, 50, 56 and 60 steps."""


@dataclass
class Told:
    """A caller that writes down what it is told, and asks to stop after a number of dispatches."""

    dispatches: float = math.inf
    events: list[Event] = field(default_factory=list)

    def report(self, event: Event) -> None:
        self.events.append(event)

    def should_stop(self) -> bool:
        return len(self.of(TrainingProgress)) >= self.dispatches

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def curve(self) -> list[Event]:
        """All measurements; speed alone may differ between two runs."""
        points = (replace(point, steps_per_second=0) for point in self.of(TrainingProgress))
        return [*points, *self.of(Validated)]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TrainingData:
    return tones(tmp_path_factory.mktemp("tones"))


@dataclass(frozen=True)
class Run:
    folder: Path
    outcome: Outcome
    told: Told


@pytest.fixture(scope="module")
def uninterrupted(data: TrainingData, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that nothing disturbed."""
    folder, told = tmp_path_factory.mktemp("uninterrupted"), Told()
    return Run(folder, train(run_parameters(**FULL), data, folder, told.report, told.should_stop), told)


def assert_same(folder: Path, outcome: Outcome, expected: Run) -> None:
    """Compare weights, statistics, optimiser, averages, random state and the best network, bit by bit."""
    position, arrays = checkpoints.load(folder) or pytest.fail("there is no checkpoint")
    expected_position, expected_arrays = checkpoints.load(expected.folder) or pytest.fail("there is no checkpoint")
    assert replace(position, seconds=0) == replace(expected_position, seconds=0)
    assert len(arrays) == len(expected_arrays) > 25
    assert all(map(np.array_equal, arrays, expected_arrays))
    assert (folder / BEST).read_bytes() == (expected.folder / BEST).read_bytes()
    assert replace(outcome, seconds=0, best=None) == replace(expected.outcome, seconds=0, best=None)


# --- the schedule -----------------------------------------------------------------------------------------------------


@given(steps=st.integers(1, 3000), warmup=st.floats(0, 90))
def test_the_learning_rate_rises_and_falls(steps: int, warmup: float) -> None:
    parameters = run_parameters(steps=steps, validation_interval=1, warmup_percentage=warmup, learning_rate=0.01)
    rates = [learning_rate(parameters, step) for step in range(steps)]
    warm = int(steps * warmup / 100)
    assert all(0 < rate <= 0.01 for rate in rates)
    assert rates[:warm] == pytest.approx(np.arange(1, warm + 1) * 0.01 / max(1, warm))
    assert sorted(rates[warm:], reverse=True) == rates[warm:]
    assert rates[min(warm, steps - 1)] == pytest.approx(0.01)
    assert learning_rate(parameters, steps) == pytest.approx(0, abs=1e-12)
    middle = warm + (steps - warm) / 2
    if middle.is_integer() and warm < steps:
        assert learning_rate(parameters, int(middle)) == pytest.approx(0.005)


@given(steps=st.integers(1, 500), interval=st.integers(1, 500), size=st.integers(1, 60), resumed=st.integers(0, 500))
def test_a_plan_covers_every_step_once(steps: int, interval: int, size: int, resumed: int) -> None:
    parameters = run_parameters(steps=steps, validation_interval=min(interval, steps))
    whole = plan(parameters, size, 0)
    assert [step for first, count in whole for step in range(first, first + count)] == list(range(steps))
    assert all(0 < count <= size for _, count in whole)
    ends = {first + count for first, count in whole}
    assert set(range(parameters.validation_interval, steps + 1, parameters.validation_interval)) <= ends
    if resumed in ends:
        assert plan(parameters, size, resumed) == [item for item in whole if item[0] >= resumed]


def test_dispatches_get_shorter_where_steps_get_longer() -> None:
    runs = [("kws-small", 1), ("kws-medium", 64), ("kws-large", 64), ("kws-large", 4096)]
    sizes = [dispatch_size(RunParameters(network=name, batch_size=size), 49, 12) for name, size in runs]
    assert sizes == sorted(sizes, reverse=True)
    assert (sizes[0], sizes[-1]) == (50, 1)
    assert 1 < sizes[2] < 50


# --- a run ------------------------------------------------------------------------------------------------------------


def test_tones_are_learned(uninterrupted: Run, data: TrainingData) -> None:
    outcome = uninterrupted.outcome
    assert (outcome.step, outcome.stopped) == (60, False)
    assert outcome.best_accuracy > 0.9
    assert outcome.best is not None
    report = judge(infer(outcome.best, data.test), data.test.label, LABELS)
    assert report.accuracy.value > 0.9
    # What is deployed is what was validated.
    validation = judge(infer(outcome.best, data.validation), data.validation.label, LABELS)
    assert validation.accuracy.value == pytest.approx(outcome.best_accuracy)


def test_events_come_at_fixed_steps(uninterrupted: Run) -> None:
    told = uninterrupted.told
    assert [point.step for point in told.of(TrainingProgress)] == [7, 14, 21, 28, 35, 42, 49, 50, 56, 60]
    assert [point.step for point in told.of(Validated)] == [7, 14, 21, 28, 35, 42, 49, 56, 60]
    best = max(told.of(Validated), key=lambda point: (point.accuracy, -point.loss))
    assert (uninterrupted.outcome.best_step, uninterrupted.outcome.best_accuracy) == (best.step, best.accuracy)
    assert [point.best for point in told.of(Validated)].count(True) >= 1
    for index, event in enumerate(told.events):
        if isinstance(event, Saving):
            assert told.events[index + 1] == CheckpointSaved(event.step)


@pytest.mark.parametrize("stop_after", [3, 8], ids=["where it was validated", "in between"])
def test_a_stopped_run_goes_on_exactly(uninterrupted: Run, data: TrainingData, tmp_path: Path, stop_after: int) -> None:
    curve: list[Event] = []
    for dispatches in (stop_after, math.inf):
        told = Told(dispatches)
        outcome = train(run_parameters(**FULL), data, tmp_path, told.report, told.should_stop)
        assert outcome.stopped == (dispatches < math.inf)
        assert [event.step for event in told.of(Resumed)] == ([max(map(step_of, curve))] if curve else [])
        curve += told.curve
    assert_same(tmp_path, outcome, uninterrupted)
    assert sorted(map(repr, curve)) == sorted(map(repr, uninterrupted.told.curve))


def step_of(event: Any) -> int:
    return int(event.step)


CHILD = """
import sys
from pathlib import Path
from tests.unit.engine.test_training import FULL
from tests.unit.engine.tones import run_parameters, tones
from workers.engine.training import train

def report(event):
    print(event, flush=True)
    sys.stdin.readline()

train(run_parameters(**FULL), tones(Path(sys.argv[1])), Path(sys.argv[2]), report, lambda: False)
"""


def killed_after(seen: int, words: Path, folder: Path) -> list[Event]:
    """Train in a child that waits at each of `seen` events, then runs freely into its death; return what it told."""
    path = {"PYTHONPATH": f"{ROOT}:{ROOT / 'platform'}", "TF_CPP_MIN_LOG_LEVEL": "2"}
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, str(words), str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=path,
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        lines = []
        for _ in range(seen):
            lines.append(child.stdout.readline())
            child.stdin.write("\n")
            child.stdin.flush()
        child.stdin.write("\n" * 3)
        child.stdin.flush()
        child.kill()
        lines += child.stdout.readlines()
    return [eval(line, vars(events)) for line in lines if line.endswith("\n")]


def remembered(history: list[Any], told: Told) -> list[Any]:
    """Go on with a history: what an earlier life told of steps after the checkpoint is void."""
    begun = next((event.step for event in told.of(Resumed)), -1)
    return [event for event in history if event.step <= begun] + told.curve


def test_a_run_killed_again_and_again_goes_on_exactly(uninterrupted: Run, data: TrainingData, tmp_path: Path) -> None:
    history: list[Any] = []
    for seen in (4, 7, 3, 8, 5):
        told = Told(events=killed_after(seen, data.train.packs[0].parent, tmp_path))
        history = remembered(history, told)
    told = Told()
    outcome = train(run_parameters(**FULL), data, tmp_path, told.report, told.should_stop)
    assert told.of(Resumed)
    assert_same(tmp_path, outcome, uninterrupted)
    assert sorted(map(repr, remembered(history, told))) == sorted(map(repr, uninterrupted.told.curve))


def test_a_finished_run_stays_as_it_is(uninterrupted: Run, data: TrainingData) -> None:
    told = Told()
    before = (uninterrupted.folder / checkpoints.FILE).read_bytes()
    outcome = train(run_parameters(**FULL), data, uninterrupted.folder, told.report, told.should_stop)
    assert told.events == [Resumed(60)]
    assert_same(uninterrupted.folder, outcome, uninterrupted)
    assert (uninterrupted.folder / checkpoints.FILE).read_bytes() == before


def test_a_run_stopped_before_it_was_validated_has_no_best(data: TrainingData, tmp_path: Path) -> None:
    told = Told(dispatches=1)
    parameters = run_parameters(network=ONE_STAGE, steps=200, validation_interval=200)
    outcome = train(parameters, data, tmp_path, told.report, told.should_stop)
    assert (outcome.step, outcome.stopped, outcome.best, outcome.best_step) == (50, True, None, -1)
    assert told.events[-1] == CheckpointSaved(50)


# --- what goes wrong --------------------------------------------------------------------------------------------------


def test_divergence_is_told_and_the_best_weights_are_kept(
    data: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exploding(parameters: RunParameters, step: int) -> float:
        return learning_rate(parameters, step) if step < 25 else math.inf

    monkeypatch.setattr(training, "learning_rate", exploding)
    told = Told()
    with pytest.raises(TrainingDiverged, match=r"at step 40 .* smaller learning rate") as raised:
        train(run_parameters(network=ONE_STAGE), data, tmp_path, told.report, told.should_stop)
    assert raised.value.code == "diverged"
    best = TrainedNetwork.load(tmp_path / BEST)
    accuracy = judge(infer(best, data.validation), data.validation.label, LABELS).accuracy.value
    assert accuracy == pytest.approx(told.of(Validated)[-1].accuracy)
    assert (checkpoints.load(tmp_path) or pytest.fail("there is no checkpoint"))[0].step == 20


def test_weights_that_break_in_the_last_step_are_never_the_best(
    data: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "learning_rate", lambda parameters, step: math.inf if step == 9 else 0.01)
    told = Told()
    parameters = run_parameters(network=ONE_STAGE, steps=10, validation_interval=10)
    with pytest.raises(TrainingDiverged):
        train(parameters, data, tmp_path, told.report, told.should_stop)
    assert told.of(Validated) == []
    assert not (tmp_path / BEST).exists()


def test_a_loss_that_explodes_but_stays_finite_ends_the_run(
    data: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def far_too_long(parameters: RunParameters, step: int) -> float:
        return learning_rate(parameters, step) if step < 20 else 100.0

    monkeypatch.setattr(training, "learning_rate", far_too_long)
    told = Told()
    with pytest.raises(TrainingDiverged, match=r"at step 40 the loss was [\d,]+, many times that of guessing"):
        train(run_parameters(network=ONE_STAGE), data, tmp_path, told.report, told.should_stop)
    assert all(math.isfinite(point.loss) for point in told.of(TrainingProgress))
    assert [point.step for point in told.of(Validated)] == [20]
    assert TrainedNetwork.load(tmp_path / BEST)


def test_out_of_memory_names_the_batch_size(
    data: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_memory(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(training.BatchSource, "batch", no_memory)
    with pytest.raises(OutOfMemory, match="A batch of 16 clips"):
        train(run_parameters(network=ONE_STAGE), data, tmp_path, Told().report, lambda: False)


def test_numpy_leaves_the_cores_to_tensorflow(
    data: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[int] = []

    def look(*_: object) -> None:
        threads.extend(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")
        raise MemoryError

    monkeypatch.setattr(training.BatchSource, "batch", look)
    with pytest.raises(OutOfMemory):
        train(run_parameters(network=ONE_STAGE), data, tmp_path, Told().report, lambda: False)
    assert set(threads) == {1}


def test_a_label_without_clips_is_named(data: TrainingData, tmp_path: Path) -> None:
    lonely = replace(data, labels=(*LABELS, "seven"))
    with pytest.raises(EngineError, match="no training clips of seven"):
        train(run_parameters(network=ONE_STAGE), lonely, tmp_path, Told().report, lambda: False)


def test_a_damaged_checkpoint_is_told(uninterrupted: Run, data: TrainingData, tmp_path: Path) -> None:
    content = bytearray((uninterrupted.folder / checkpoints.FILE).read_bytes())
    content[len(content) // 2] ^= 0xFF
    (tmp_path / checkpoints.FILE).write_bytes(content)
    with pytest.raises(EngineError, match="checkpoint cannot be read"):
        train(run_parameters(**FULL), data, tmp_path, Told().report, lambda: False)


# --- what can be chosen -----------------------------------------------------------------------------------------------


def test_a_run_without_improvement_stops_early_and_stays_stopped(data: TrainingData, tmp_path: Path) -> None:
    parameters = run_parameters(
        network=ONE_STAGE, steps=1000, validation_interval=1, learning_rate=0.02, early_stopping_patience=3
    )
    told = Told()
    outcome = train(parameters, data, tmp_path, told.report, told.should_stop)
    assert not outcome.stopped
    assert outcome.step < 1000
    assert outcome.step == outcome.best_step + 3
    assert told.of(Note) == [Note("Stopped early: no improvement in 3 validations.")]
    again = Told()
    repeated = train(parameters, data, tmp_path, again.report, again.should_stop)
    assert replace(repeated, best=None) == replace(outcome, best=None)
    assert again.curve == []


def start_from(initial: TrainedNetwork | None, data: TrainingData, folder: Path) -> tuple[Outcome, Told]:
    told = Told(dispatches=1)
    parameters = run_parameters(network=ONE_STAGE, steps=200, validation_interval=30, learning_rate=0.001)
    return train(parameters, data, folder, told.report, told.should_stop, initial), told


def test_a_run_that_changes_no_clip_computes_features_once(data: TrainingData, tmp_path: Path) -> None:
    parameters = run_parameters(
        network=ONE_STAGE,
        steps=20,
        noise_probability=0,
        shift_ms=0,
        gain_db=0,
        speed_percentage=0,
        narrowband_probability=0,
        equalizer_db=0,
    )
    cache = tmp_path / "cache"
    outcomes = [
        train(parameters, data, tmp_path / str(index), Told().report, lambda: False, cache=where)
        for index, where in enumerate([None, cache, cache])
    ]
    assert len(list(cache.iterdir())) == 2  # training and validation
    for outcome in outcomes:
        assert outcome.best is not None
        assert outcomes[0].best is not None
        assert outcome.best.to_bytes() == outcomes[0].best.to_bytes()


def test_a_run_starts_where_its_initial_weights_ended(uninterrupted: Run, data: TrainingData, tmp_path: Path) -> None:
    outcome, told = start_from(uninterrupted.outcome.best, data, tmp_path)
    assert told.events[0] == Note("Started from earlier weights. All weights are kept.")
    first, second = told.of(Validated)
    assert (first.step, first.accuracy) == (0, uninterrupted.outcome.best_accuracy)
    assert second.step == 30
    assert second.accuracy > uninterrupted.outcome.best_accuracy - 0.03
    assert outcome.best is not None


def test_a_run_with_other_labels_keeps_what_it_can(uninterrupted: Run, data: TrainingData, tmp_path: Path) -> None:
    _, told = start_from(uninterrupted.outcome.best, replace(data, labels=(*LABELS[:3], "shrill")), tmp_path)
    assert told.events[0] == Note(
        "Started from earlier weights. All weights are kept but the readout of the new labels: shrill."
    )
    first, second = told.of(Validated)
    known = next(point for point in uninterrupted.told.of(Validated) if point.step == uninterrupted.outcome.best_step)
    assert second.loss < first.loss
    assert known.loss < first.loss < math.log(len(LABELS))


@pytest.mark.parametrize(
    "choice",
    [
        {"network": TINY},
        {"network": ONE_STAGE, "mixed_precision": True},
        {"network": "kws-reference", "dct_num_features": 8},
        {"network": NetworkSpec(stages=[RecurrentLMUStage(order=3, theta=8, units=12)])},
    ],
    ids=["strided", "mixed", "reference", "recurrent"],
)
def test_other_choices_train_too(choice: dict[str, Any], data: TrainingData, tmp_path: Path) -> None:
    parameters = run_parameters(**{"validation_interval": 60} | choice)
    outcome = train(parameters, data, tmp_path, Told().report, lambda: False)
    assert outcome.best_accuracy > 0.8
    assert outcome.stopped is False
    assert outcome.best is not None
    assert infer(outcome.best, data.test).dtype == np.float32


def test_without_averaging_the_last_weights_count(data: TrainingData, tmp_path: Path) -> None:
    parameters = run_parameters(network=ONE_STAGE, steps=5, validation_interval=5, ema_decay=0, gradient_clip=0)
    built: list[Any] = []
    build: Callable[..., Any] = training.networks.build
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            training.networks, "build", lambda *args, **kwargs: built.append(build(*args, **kwargs)) or built[-1]
        )
        outcome = train(parameters, data, tmp_path, Told().report, lambda: False)
    assert outcome.best is not None
    last = training.networks.arrays_of(built[0])
    assert all(np.array_equal(last[name], array) for name, array in outcome.best.arrays.items())
