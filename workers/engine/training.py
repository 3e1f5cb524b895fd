"""Training: many steps in one compiled dispatch, validated, checkpointed, and exactly resumable.

A dispatch runs up to a fixed number of steps inside one compiled program; batches for the next ones are prepared in
threads meanwhile. Dispatches end at fixed steps (a pure function of the parameters), and only there is anything
reported, saved or stopped: so a run that was interrupted and continued gives the same weights and the same curve, bit
by bit, on the same machine.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from edgewise.spec.run import RunParameters
from workers.engine import backends, checkpoints, networks
from workers.engine.backends import Backend
from workers.engine.batches import BatchSource, Dispatch, plain_features
from workers.engine.checkpoints import Position
from workers.engine.data import TrainingData, require_clips
from workers.engine.errors import OutOfMemory, TrainingDiverged
from workers.engine.evaluation import softmax_cross_entropy
from workers.engine.events import (
    CheckpointSaved,
    Compiling,
    Event,
    Note,
    Resumed,
    Saving,
    TrainingProgress,
    Validated,
)
from workers.engine.features import FeatureExtractor
from workers.engine.inference import padded, predict
from workers.engine.steps import TrainingStep
from workers.engine.weights import BEST, TrainedNetwork, transfer

CHECKPOINT_SECONDS = 10.0
MOST_STEPS_PER_DISPATCH = 50
MACS_PER_DISPATCH = 2e10
EXPLODED = 10
"""Times the loss of guessing. A network that learns is never far above it; one whose steps are too long climbs on."""


@dataclass(frozen=True)
class Outcome:
    """How a run ended. `best` is None where it was stopped before its first validation."""

    step: int
    stopped: bool
    best: TrainedNetwork | None
    best_step: int
    best_accuracy: float
    seconds: float


def train(
    parameters: RunParameters,
    data: TrainingData,
    folder: Path,
    report: Callable[[Event], None],
    should_stop: Callable[[], bool],
    initial: TrainedNetwork | None = None,
    cache: Path | None = None,
) -> Outcome:
    """Train a network, or go on from the checkpoint in `folder`.

    Args:
        parameters: of the run.
        data: training and validation clips; the test clips are not touched.
        folder: holds checkpoint and best weights; belongs to this run alone.
        report: is told what happens.
        should_stop: is asked between dispatches; the run then saves a checkpoint and ends.
        initial: weights to start from.
        cache: a folder for features of clips as they are, shared by runs on the same audio (see `plain_features`).

    Raises:
        TrainingDiverged: the loss is no finite number, or has exploded; the best weights stay in `folder`.
        OutOfMemory: a batch does not fit.
        EngineError: there is nothing to learn from.
    """
    require_clips(data)
    backend = backends.load(parameters.batch_size)
    try:
        # The threads of numpy's BLAS wait for work by spinning, and would take the cores from the training.
        with threadpool_limits(1, user_api="blas"):
            return _Training(backend, parameters, data, folder, report, should_stop, initial, cache).run()
    except Exception as error:
        if isinstance(error, MemoryError) or backend.is_out_of_memory(error):
            raise OutOfMemory(parameters.batch_size) from error
        raise


def learning_rate(parameters: RunParameters, step: int) -> float:
    """Learning rate of a step, counted from 0: linear warm-up, then half a cosine (Loshchilov & Hutter 2017)."""
    # Rounded down: at least one step follows the warm-up, however short the run.
    warm = int(parameters.steps * parameters.warmup_percentage / 100)
    if step < warm:
        return parameters.learning_rate * ((step + 1) / warm)
    part = (step - warm) / max(1, parameters.steps - warm)
    return parameters.learning_rate * 0.5 * (1 + math.cos(math.pi * part))


def dispatch_size(parameters: RunParameters, frames: int, labels: int) -> int:
    """Steps in a full dispatch: about a second of work on two cores, whatever the machine, so that it never varies."""
    preprocessing = parameters.preprocessing
    macs = sum(cost.macs for cost in parameters.network_spec.costs(preprocessing.num_features, labels))
    steps = MACS_PER_DISPATCH / (3 * macs * frames * parameters.batch_size)
    return max(1, min(MOST_STEPS_PER_DISPATCH, round(steps)))


def plan(parameters: RunParameters, size: int, begin: int) -> list[tuple[int, int]]:
    """List the dispatches (first step, steps) after `begin` steps: they end at multiples of `size` and validations."""
    interval, steps = parameters.validation_interval, parameters.steps
    ends = sorted({*range(size, steps, size), *range(interval, steps, interval), steps})
    found = []
    for end in ends:
        if end > begin:
            found.append((begin, end - begin))
            begin = end
    return found


class _Training:
    """One run of `train`."""

    def __init__(
        self,
        backend: Backend,
        parameters: RunParameters,
        data: TrainingData,
        folder: Path,
        report: Callable[[Event], None],
        should_stop: Callable[[], bool],
        initial: TrainedNetwork | None,
        cache: Path | None,
    ) -> None:
        keras.utils.set_random_seed(parameters.seed)
        self._parameters, self._data, self._folder = parameters, data, folder
        self._report, self._should_stop = report, should_stop
        self._preprocessing = parameters.preprocessing
        self._frames = self._preprocessing.num_frames(data.clip_samples)
        self._size = dispatch_size(parameters, self._frames, len(data.labels))
        self._cache = cache
        self._source = BatchSource(data, parameters, cache)
        with backend.scope():
            self._model = self._build(parameters.dropout, mixed_precision=parameters.mixed_precision)
        self._averaged = self._build()
        if initial is not None:
            fitted = transfer(initial, data.labels)
            networks.assign(self._model, fitted.arrays)
            report(Note(f"Started from earlier weights. {fitted.describe()}"))
        networks.assign(self._averaged, networks.arrays_of(self._model))
        self._warm = initial is not None
        step = TrainingStep(parameters, self._model, self._averaged, backend)
        self._variables = step.variables
        self._position = Position()
        self._steps = backend.compiled_loop(step, step.variables)
        self._predict = backend.compiled_prediction(self._averaged)

    def run(self) -> Outcome:
        """Train to the end, or until asked to stop."""
        self._restore()
        self._validation = self._validation_set()
        if self._warm and self._position.step == 0:
            self._validate()
            self._save()
        if not self._is_over:
            self._report(Compiling())
            self._train()
        if self._is_exhausted:
            patience = self._parameters.early_stopping_patience
            self._report(Note(f"Stopped early: no improvement in {patience} validations."))
        return self._outcome()

    def _train(self) -> None:
        schedule = plan(self._parameters, self._size, self._position.step)
        saved = begin = time.monotonic()
        with closing(self._source.dispatches(schedule)) as dispatches:
            for dispatch in dispatches:
                # Waiting for batches counts: this is the speed that the user gets.
                self._advance(dispatch, begin)
                self._position.seconds += time.monotonic() - begin
                begin = time.monotonic()
                validated = self._validate_if_due()
                stop = self._is_over or self._should_stop()
                if validated or stop or time.monotonic() - saved > CHECKPOINT_SECONDS:
                    self._save()
                    saved = time.monotonic()
                if stop:
                    return

    def _build(self, dropout: float = 0.0, *, mixed_precision: bool = False) -> keras.Model:
        return networks.build(
            self._parameters.network_spec,
            self._frames,
            self._preprocessing.num_features,
            len(self._data.labels),
            dropout,
            seed=self._parameters.seed,
            mixed_precision=mixed_precision,
        )

    def _advance(self, dispatch: Dispatch, begin: float) -> None:
        rates = [learning_rate(self._parameters, dispatch.first + index) for index in range(dispatch.count)]
        padding = self._size - dispatch.count
        total, hits = self._steps(
            padded(dispatch.features, padding),
            padded(dispatch.labels, padding),
            padded(np.asarray(rates, dtype=np.float32), padding),
            dispatch.first,
            dispatch.count,
        )
        loss, accuracy = total / dispatch.count, hits / dispatch.labels.size
        if not math.isfinite(loss):
            raise TrainingDiverged(dispatch.first + dispatch.count)
        self._position.step = dispatch.first + dispatch.count
        self._position.interval_loss += total
        speed = dispatch.count / (time.monotonic() - begin)
        self._report(TrainingProgress(self._position.step, loss, accuracy, rates[-1], speed))

    def _validation_set(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
        clips, extract = self._data.validation, FeatureExtractor(self._preprocessing)
        return plain_features(clips, self._data.clip_samples, extract, self._cache), clips.label

    def _validate_if_due(self) -> bool:
        step = self._position.step
        due = step % self._parameters.validation_interval == 0 or step == self._parameters.steps
        if due:
            self._stop_if_exploded()
            self._validate()
        return due

    def _stop_if_exploded(self) -> None:
        """Look at the mean loss since the last validation: one bad batch is forgiven, a bad interval is not."""
        position = self._position
        steps = (position.step - 1) % self._parameters.validation_interval + 1
        loss, position.interval_loss = position.interval_loss / steps, 0.0
        if loss > EXPLODED * math.log(max(2, len(self._data.labels))):
            raise TrainingDiverged(position.step, loss)

    def _validate(self) -> None:
        features, labels = self._validation
        logits = predict(self._predict, features)
        accuracy = float(np.mean(logits.argmax(axis=1) == labels))
        loss = softmax_cross_entropy(logits, labels)
        position = self._position
        if not math.isfinite(loss):
            raise TrainingDiverged(position.step)
        best = (accuracy, -loss) > (position.best_accuracy, -position.best_loss)
        position.without_improvement = 0 if best else position.without_improvement + 1
        if best:
            position.best_step, position.best_accuracy, position.best_loss = position.step, accuracy, loss
            self._trained().save(self._folder / BEST)
        self._report(Validated(position.step, loss, accuracy, best))

    @property
    def _is_exhausted(self) -> bool:
        return 0 < self._parameters.early_stopping_patience <= self._position.without_improvement

    @property
    def _is_over(self) -> bool:
        return self._position.step >= self._parameters.steps or self._is_exhausted

    def _trained(self) -> TrainedNetwork:
        return TrainedNetwork(
            spec=self._parameters.network_spec,
            preprocessing=self._preprocessing,
            labels=self._data.labels,
            clip_samples=self._data.clip_samples,
            arrays=networks.arrays_of(self._averaged),
        )

    # --- checkpoints --------------------------------------------------------------------------------------------------

    def _save(self) -> None:
        self._report(Saving(self._position.step))
        checkpoints.save(self._folder, self._position, [variable.numpy() for variable in self._variables])
        self._report(CheckpointSaved(self._position.step))

    def _restore(self) -> None:
        stored = checkpoints.load(self._folder)
        if stored is None:
            return
        self._position, arrays = stored
        for variable, array in zip(self._variables, arrays, strict=True):
            variable.assign(array)
        self._report(Resumed(self._position.step))

    def _outcome(self) -> Outcome:
        position = self._position
        best = TrainedNetwork.load(self._folder / BEST) if position.best_step >= 0 else None
        return Outcome(
            step=position.step,
            stopped=not self._is_over,
            best=best,
            best_step=position.best_step,
            best_accuracy=position.best_accuracy,
            seconds=position.seconds,
        )
