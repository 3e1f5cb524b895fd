"""How far the forms that compute in integers are from the trained network, on a whole test split."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from edgewise.spec.detection import OperatingPoint
from edgewise.spec.run import RunParameters
from workers.bench.accuracy import VALIDATIONS, parameters_of
from workers.bench.figures import Figure
from workers.bench.tasks import ARCHIVES, load_task
from workers.engine.data import TrainingData
from workers.engine.inference import infer
from workers.engine.training import train
from workers.engine.weights import TrainedNetwork
from workers.export.finetuning import Lessons
from workers.export.forms import CALIBRATION_CLIPS, Form, Wishes, c_library, tflite_form
from workers.export.proof import sample

OPTIONS = {"precision": "int8", "target": "sources"}
FORMS: dict[str, Callable[[Wishes], Form | None]] = {
    "tflite_int8": tflite_form,
    "tflite_int8_finetuned": lambda wishes: tflite_form(wishes).otherwise,
    "c_int8": lambda wishes: c_library(wishes)[0],  # what follows is compiled from the same sources
}


def measure(task: str, chosen: Sequence[str], steps: int) -> list[Figure]:
    """Train each network once on the first part of a task, and run its forms on all test clips.

    Args:
        task: a name in `workers.bench.tasks.TASKS`.
        chosen: networks, by name.
        steps: of each run.
    """
    with tempfile.TemporaryDirectory(prefix="edgewise-bench-") as folder:
        data = next(iter(load_task(task, ARCHIVES, Path(folder)).values()))
        return [figure for network in chosen for figure in _of_network(network, data, steps)]


def _of_network(network: str, data: TrainingData, steps: int) -> Iterator[Figure]:
    parameters = parameters_of(network, seed=0, steps=steps, validation_interval=max(1, steps // VALIDATIONS))
    trained = _trained(parameters, data)
    calibration = sample(data.train, trained.clip_samples, CALIBRATION_CLIPS)
    wishes = Wishes(OPTIONS, OperatingPoint(), calibration, Lessons(data, parameters))
    for name, make in FORMS.items():
        form = make(wishes)
        assert form is not None
        yield from _figures(f"{network}.{name}", form, trained, data)


def _trained(parameters: RunParameters, data: TrainingData) -> TrainedNetwork:
    with tempfile.TemporaryDirectory(prefix="edgewise-bench-") as folder:
        outcome = train(parameters, data, Path(folder), lambda event: None, lambda: False)
    assert outcome.best is not None
    return outcome.best


def _figures(name: str, form: Form, trained: TrainedNetwork, data: TrainingData) -> Iterator[Figure]:
    test = data.split("test")
    expected = infer(trained, test)
    with tempfile.TemporaryDirectory(prefix="edgewise-bench-") as folder:
        form.write(Path(folder), trained)
        found = form.load(Path(folder))(sample(test, trained.clip_samples, len(test)))
    heard, wanted = found.argmax(axis=1), expected.argmax(axis=1)
    lost = np.mean(wanted == test.label) - np.mean(heard == test.label)
    yield Figure(f"{name}.agreement", float(np.mean(heard == wanted)), "of 1", at_least=0.99)
    yield Figure(f"{name}.lost_accuracy", float(lost), "of 1")
    yield Figure(f"{name}.largest_difference", float(np.abs(found - expected).max()))
