"""Accuracy of networks on the tasks of `workers.bench.tasks`, over several seeds."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np
import numpy.typing as npt

from edgewise.spec.network import NETWORKS
from edgewise.spec.run import RunParameters
from workers.bench import ds_cnn
from workers.bench.figures import Figure
from workers.bench.peers import DS_CNN
from workers.bench.tasks import ARCHIVES, load_task
from workers.engine.data import TrainingData
from workers.engine.evaluation import judge
from workers.engine.inference import infer
from workers.engine.training import train

VALIDATIONS = 8


@dataclass(frozen=True)
class Trial:
    """How one training went. Accuracies are shares."""

    test_accuracy: float
    validation_accuracy: float
    seconds: float


def measure(tasks: Sequence[str], chosen: Sequence[str], seeds: int, steps: int) -> list[Figure]:
    """Train each network on each part of each task with each seed, and judge it on the test clips.

    Args:
        tasks: names in `workers.bench.tasks.TASKS`.
        chosen: networks, by name.
        seeds: runs of each, with the seeds 0, 1, ….
        steps: of each run.
    """
    figures = []
    with tempfile.TemporaryDirectory(prefix="edgewise-bench-") as folder:
        for task in tasks:
            parts = load_task(task, ARCHIVES, Path(folder))
            for network in chosen:
                trials = {
                    part: [_told(f"{task} {part} {network}", network, data, seed, steps) for seed in range(seeds)]
                    for part, data in parts.items()
                }
                figures += _figures(f"{task}.{network}", trials)
    return figures


def trial(network: str, data: TrainingData, **parameters: Any) -> Trial:
    """Train a network and judge its best weights on the test clips.

    Args:
        network: its name: one of the form's, or `ds-cnn`.
        data: of one part of a task.
        parameters: of the run, where they differ from the network's defaults.
    """
    begin = time.perf_counter()
    run = _run_ds_cnn if network == DS_CNN else _run
    logits = run(parameters_of(network, **parameters), data)
    seconds = time.perf_counter() - begin
    accuracies = [
        judge(logits(data.split(name)), data.split(name).label, data.labels).accuracy.value
        for name in ("test", "validation")
    ]
    return Trial(accuracies[0], accuracies[1], seconds)


def parameters_of(network: str, **changes: Any) -> RunParameters:
    """Return the parameters of a run of that network, with its own defaults."""
    if network == DS_CNN:
        return RunParameters(**ds_cnn.DEFAULTS | changes)
    return RunParameters(**{"network": network, **NETWORKS[network].defaults} | changes)


Logits = Callable[[Any], npt.NDArray[np.float32]]


def _run(parameters: RunParameters, data: TrainingData) -> Logits:
    with tempfile.TemporaryDirectory(prefix="edgewise-bench-") as folder:
        outcome = train(parameters, data, Path(folder), lambda event: None, lambda: False)
    assert outcome.best is not None
    best = outcome.best
    return lambda clips: infer(best, clips)


def _run_ds_cnn(parameters: RunParameters, data: TrainingData) -> Logits:
    model = ds_cnn.train(parameters, data)
    return lambda clips: ds_cnn.logits(model, parameters, data, clips)


def _told(title: str, network: str, data: TrainingData, seed: int, steps: int) -> Trial:
    found = trial(network, data, seed=seed, steps=steps, validation_interval=max(1, steps // VALIDATIONS))
    print(
        f"{title}, seed {seed}: test {found.test_accuracy:.2%}, validation {found.validation_accuracy:.2%}, "
        f"{found.seconds:.0f} s",
        file=sys.stderr,
        flush=True,
    )
    return found


def _figures(name: str, trials: dict[str, list[Trial]]) -> list[Figure]:
    """Summarize: parts weigh alike; the deviation is that of the seeds' means over the parts."""
    by_seed = [fmean(trial.test_accuracy for trial in seed) for seed in zip(*trials.values(), strict=True)]
    every = [trial for part in trials.values() for trial in part]
    figures = [Figure(f"{name}.test_accuracy", fmean(by_seed), "of 1")]
    if len(by_seed) > 1:
        figures.append(Figure(f"{name}.test_accuracy_deviation", stdev(by_seed), "of 1"))
    if len(trials) > 1:
        figures += [
            Figure(f"{name}.{part}.test_accuracy", fmean(trial.test_accuracy for trial in found), "of 1")
            for part, found in trials.items()
        ]
    return [*figures, Figure(f"{name}.seconds_per_run", fmean(trial.seconds for trial in every), "s")]
