"""Training on LMU layers, beside the same network of keras-lmu; and a whole run beside its bare compiled loop."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import keras
import keras_lmu
import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from edgewise.spec.dataset import DatasetParameters
from edgewise.spec.network import NETWORKS
from edgewise.spec.run import RunParameters
from workers.bench.figures import Figure
from workers.bench.measure import Timing, alternate, times_as_fast
from workers.bench.tasks import DIRECTIONS, speak, training_data
from workers.engine import backends, networks
from workers.engine.batches import BatchSource
from workers.engine.data import TrainingData
from workers.engine.events import Event, TrainingProgress, Validated
from workers.engine.lmu import LegendreMemory
from workers.engine.steps import TrainingStep
from workers.engine.training import dispatch_size, train

BATCH, FRAMES, CHANNELS, ORDER, UNITS, LABELS = 64, 49, 20, 10, 128, 7
STEPS = 50
ROUNDS = 7

CLIPS_PER_WORD = 100
VALIDATION_INTERVAL = 100
RUN_STEPS = 500
RUN_ROUNDS = 5


# --- layers -----------------------------------------------------------------------------------------------------------


def layers() -> list[Figure]:
    """Time 50 steps of one LMU network: our layer in the compiled loop, keras-lmu's through `fit(jit_compile=True)`.

    Both have 20 trained encoders, as keras-lmu's layer has unless told otherwise and as every stage after the first
    has, a memory of order 10 and window 49 for each, a dense layer of 128 tanh units, and 7 scores; both learn from
    ready batches by AdamW. `all_outputs` takes the mean over the frames, `last_output` the last frame.
    """
    return [
        *_layer_figures("all_outputs", last_only=False, at_least=3),
        *_layer_figures("last_output", last_only=True, at_least=20),
    ]


def _layer_figures(name: str, *, last_only: bool, at_least: float) -> list[Figure]:
    parameters = RunParameters(steps=STEPS, validation_interval=STEPS, batch_size=BATCH)
    generator = np.random.default_rng(0)
    features = generator.standard_normal((STEPS, BATCH, FRAMES, CHANNELS), dtype=np.float32)
    labels = generator.integers(LABELS, size=(STEPS, BATCH), dtype=np.int32)
    ours, averaged = _our_network(last_only), _our_network(last_only)
    timings = alternate(
        {
            "edgewise": compiled_loop(parameters, ours, averaged, features, labels),
            "keras_lmu": _fit(parameters, _their_network(last_only), features, labels),
        },
        ROUNDS,
    )
    ratio = times_as_fast(timings["edgewise"], timings["keras_lmu"])
    return [
        Figure(f"{name}.vs_keras_lmu", ratio, "times", at_least=at_least),
        *(Figure(f"{name}.{who}_ms_per_step", t.median / STEPS * 1e3, "ms", t.spread) for who, t in timings.items()),
    ]


def _our_network(last_only: bool) -> keras.Model:
    """Encoders and memory are linear and commute: for one frame it takes less to encode the memory than the frames."""
    inputs = keras.Input((FRAMES, CHANNELS))
    if last_only:
        coefficients = keras.layers.Reshape((CHANNELS, ORDER))(LegendreMemory(ORDER, FRAMES, last_only=True)(inputs))
        encoded = keras.layers.EinsumDense("bcq,cd->bdq", (CHANNELS, ORDER))(coefficients)
        memory = keras.layers.Reshape((1, CHANNELS * ORDER))(encoded)
    else:
        encoded = keras.layers.Dense(CHANNELS, use_bias=False)(inputs)
        memory = LegendreMemory(ORDER, FRAMES)(encoded)
    return _classifier(inputs, keras.layers.Dense(UNITS, activation="tanh")(memory))


def _their_network(last_only: bool) -> keras.Model:
    inputs = keras.Input((FRAMES, CHANNELS))
    layer = keras_lmu.LMU(
        memory_d=CHANNELS,
        order=ORDER,
        theta=FRAMES,
        hidden_cell=keras.layers.Dense(UNITS, activation="tanh"),
        return_sequences=not last_only,
    )
    hidden = layer(inputs)
    return _classifier(inputs, keras.layers.Reshape((1, UNITS))(hidden) if last_only else hidden)


def _classifier(inputs: Any, hidden: Any) -> keras.Model:
    return keras.Model(inputs, keras.layers.Dense(LABELS)(keras.layers.GlobalAveragePooling1D()(hidden)))


def compiled_loop(
    parameters: RunParameters,
    model: keras.Model,
    averaged: keras.Model,
    features: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int32],
) -> Callable[[], float]:
    """Return a function that runs the engine's compiled loop once over ready batches (steps, batch, …)."""
    backend = backends.load(parameters.batch_size)
    step = TrainingStep(parameters, model, averaged, backend)
    loop = backend.compiled_loop(step, step.variables)
    rates = np.full(len(labels), 1e-3, np.float32)
    return lambda: loop(features, labels, rates, 0, len(labels))[0]


def _fit(
    parameters: RunParameters, model: keras.Model, features: npt.NDArray[np.float32], labels: npt.NDArray[np.int32]
) -> Callable[[], object]:
    optimizer = keras.optimizers.AdamW(
        1e-3, weight_decay=parameters.weight_decay, global_clipnorm=parameters.gradient_clip
    )
    loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=parameters.label_smoothing)
    model.compile(optimizer, loss, metrics=["accuracy"], jit_compile=True)
    clips, truth = features.reshape(-1, FRAMES, CHANNELS), keras.utils.to_categorical(labels.reshape(-1), LABELS)
    return lambda: model.fit(clips, truth, batch_size=BATCH, shuffle=False, verbose=0)


# --- whole runs -------------------------------------------------------------------------------------------------------


def pipeline() -> list[Figure]:
    """Compare the steps per second of whole runs with those of the bare compiled loop on ready batches.

    A whole run prepares and augments its batches, reports its metrics, validates every 100 steps and writes
    checkpoints. Counted from its first validation, when all is compiled.
    """
    with tempfile.TemporaryDirectory(prefix="edgewise-bench-") as name:
        folder = Path(name)
        corpus = speak(DIRECTIONS, CLIPS_PER_WORD, folder)
        data = training_data(corpus, DatasetParameters(keywords=list(DIRECTIONS)))
        with threadpool_limits(1, user_api="blas"):
            large = _efficiency("kws-large", data, folder)
            small = _efficiency("kws-small", data, folder)
    return [Figure("pipeline_efficiency", large[0].value, "of 1", large[0].spread, at_least=0.7), *large[1:], *small]


def _efficiency(network: str, data: TrainingData, folder: Path) -> list[Figure]:
    defaults = NETWORKS[network].defaults
    parameters = RunParameters(network=network, steps=RUN_STEPS, validation_interval=VALIDATION_INTERVAL, **defaults)
    bare = _bare_loop(parameters, data)
    bare()
    loops, runs = [bare()], []
    for number in range(RUN_ROUNDS):
        runs.append(_whole_run(parameters, data, folder / f"{network}-{number}"))
        loops.append(bare())
    # Beside the loops before and after it: while a run takes its time, the machine's speed drifts.
    shares = Timing(tuple(2 * run / sum(beside) for run, beside in zip(runs, pairwise(loops), strict=True)))
    return [
        Figure(f"{network}.pipeline_efficiency", shares.median, "of 1", shares.spread),
        Figure(f"{network}.run_steps_per_second", Timing(tuple(runs)).median, "steps/s"),
        Figure(f"{network}.loop_steps_per_second", Timing(tuple(loops)).median, "steps/s"),
    ]


def _bare_loop(parameters: RunParameters, data: TrainingData) -> Callable[[], float]:
    """Return a function that runs as many steps as are counted of a run, and returns the steps per second."""
    preprocessing = parameters.preprocessing
    frames, labels = preprocessing.num_frames(data.clip_samples), len(data.labels)
    size = dispatch_size(parameters, frames, labels)
    batches = next(BatchSource(data, parameters).dispatches([(0, size)]))
    build = (parameters.network_spec, frames, preprocessing.num_features, labels)
    model, averaged = networks.build(*build, parameters.dropout), networks.build(*build)
    loop = compiled_loop(parameters, model, averaged, batches.features, batches.labels)
    dispatches = max(1, (RUN_STEPS - VALIDATION_INTERVAL) // size)

    def run() -> float:
        begin = time.perf_counter()
        for _ in range(dispatches):
            loop()
        return dispatches * size / (time.perf_counter() - begin)

    return run


def _whole_run(parameters: RunParameters, data: TrainingData, folder: Path) -> float:
    """Train, and return the steps per second after the first validation."""
    marks: list[tuple[int, float]] = []

    def report(event: Event) -> None:
        if isinstance(event, Validated) or (marks and isinstance(event, TrainingProgress)):
            marks.append((event.step, time.perf_counter()))

    train(parameters, data, folder, report, lambda: False)
    (first, begin), (last, end) = marks[0], marks[-1]
    return (last - first) / (end - begin)
