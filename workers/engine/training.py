"""Training: many steps in one compiled dispatch, validated, checkpointed, and exactly resumable.

A dispatch runs up to a fixed number of steps inside one XLA program; batches for the next ones are prepared in a thread
meanwhile. Dispatches end at fixed steps (a pure function of the parameters), and only there is anything reported, saved
or stopped: so a run that was interrupted and continued gives the same weights and the same curve, bit by bit, on the
same machine.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf
from threadpoolctl import threadpool_limits

from edgewise.spec.run import RunParameters
from workers.engine import checkpoints, networks
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
from workers.engine.inference import compiled_prediction, padded, predict
from workers.engine.weights import BEST, TrainedNetwork, transfer

CHECKPOINT_SECONDS = 10.0
MOST_STEPS_PER_DISPATCH = 50
MACS_PER_DISPATCH = 2e10


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
) -> Outcome:
    """Train a network, or go on from the checkpoint in `folder`.

    Args:
        parameters: of the run.
        data: training and validation clips; the test clips are not touched.
        folder: holds checkpoint and best weights; belongs to this run alone.
        report: is told what happens.
        should_stop: is asked between dispatches; the run then saves a checkpoint and ends.
        initial: weights to start from.

    Raises:
        TrainingDiverged: the loss is no finite number; the best weights stay in `folder`.
        OutOfMemory: a batch does not fit.
        EngineError: there is nothing to learn from.
    """
    require_clips(data)
    try:
        # The threads of numpy's BLAS wait for work by spinning, and would take the cores from TensorFlow.
        with threadpool_limits(1, user_api="blas"):
            return _Training(parameters, data, folder, report, should_stop, initial).run()
    except (tf.errors.ResourceExhaustedError, MemoryError) as error:
        raise OutOfMemory(parameters.batch_size) from error


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
        parameters: RunParameters,
        data: TrainingData,
        folder: Path,
        report: Callable[[Event], None],
        should_stop: Callable[[], bool],
        initial: TrainedNetwork | None,
    ) -> None:
        keras.utils.set_random_seed(parameters.seed)
        self._parameters, self._data, self._folder = parameters, data, folder
        self._report, self._should_stop = report, should_stop
        self._preprocessing = parameters.preprocessing
        self._frames = self._preprocessing.num_frames(data.clip_samples)
        self._size = dispatch_size(parameters, self._frames, len(data.labels))
        self._source = BatchSource(data, parameters)
        self._model = self._build(parameters.dropout, mixed_precision=parameters.mixed_precision)
        self._averaged = self._build()
        if initial is not None:
            fitted = transfer(initial, data.labels)
            networks.assign(self._model, fitted.arrays)
            report(Note(f"Started from earlier weights. {fitted.describe()}"))
        networks.assign(self._averaged, networks.arrays_of(self._model))
        self._warm = initial is not None
        self._optimizer = _optimizer(parameters, self._model)
        self._position = Position()
        self._step_function = _compiled_steps(parameters, self._model, self._averaged, self._optimizer)
        self._predict = compiled_prediction(self._averaged)

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
        loss, correct = self._step_function(
            padded(dispatch.features, padding),
            padded(dispatch.labels, padding),
            padded(np.asarray(rates, dtype=np.float32), padding),
            tf.constant(dispatch.first),
            tf.constant(dispatch.count),
        )
        loss, accuracy = float(loss) / dispatch.count, float(correct) / dispatch.labels.size
        if not math.isfinite(loss):
            raise TrainingDiverged(dispatch.first + dispatch.count)
        self._position.step = dispatch.first + dispatch.count
        speed = dispatch.count / (time.monotonic() - begin)
        self._report(TrainingProgress(self._position.step, loss, accuracy, rates[-1], speed))

    def _validation_set(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
        clips = self._data.validation
        return plain_features(clips, self._data.clip_samples, FeatureExtractor(self._preprocessing)), clips.label

    def _validate_if_due(self) -> bool:
        step = self._position.step
        due = step % self._parameters.validation_interval == 0 or step == self._parameters.steps
        if due:
            self._validate()
        return due

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

    def _variables(self) -> list[Any]:
        return [*self._model.variables, *self._averaged.variables, *self._optimizer.variables]

    def _save(self) -> None:
        self._report(Saving(self._position.step))
        checkpoints.save(self._folder, self._position, [variable.numpy() for variable in self._variables()])
        self._report(CheckpointSaved(self._position.step))

    def _restore(self) -> None:
        stored = checkpoints.load(self._folder)
        if stored is None:
            return
        self._position, arrays = stored
        for variable, array in zip(self._variables(), arrays, strict=True):
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


def _optimizer(parameters: RunParameters, model: keras.Model) -> Any:
    """AdamW (Loshchilov & Hutter 2019); biases and normalisation do not decay."""
    clip = {"global_clipnorm": parameters.gradient_clip} if parameters.gradient_clip else {}
    optimizer = keras.optimizers.AdamW(parameters.learning_rate, weight_decay=parameters.weight_decay, **clip)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    optimizer.build(model.trainable_variables)
    return optimizer


def _compiled_steps(parameters: RunParameters, model: keras.Model, averaged: keras.Model, optimizer: Any) -> Any:
    """Compile the steps of a dispatch: gradients, update, and the moving average of weights and statistics."""
    pairs = [
        (average.value, variable.value)
        for (_, average), (_, variable) in zip(
            networks.named_variables(averaged), networks.named_variables(model), strict=True
        )
    ]
    loss_of = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=parameters.label_smoothing)

    @tf.function(jit_compile=True)  # type: ignore[untyped-decorator]
    def steps(features: Any, labels: Any, rates: Any, first: Any, count: Any) -> tuple[Any, Any]:
        total, correct, index = tf.constant(0.0), tf.constant(0), tf.constant(0)
        # No `for … in tf.range(count)`: XLA would compile that anew for every count.
        while index < count:
            optimizer.learning_rate.assign(rates[index])
            with tf.GradientTape() as tape:
                logits = tf.cast(model(features[index], training=True), tf.float32)
                loss = loss_of(tf.one_hot(labels[index], logits.shape[-1]), logits)
            gradients = tape.gradient(loss, model.trainable_variables)
            optimizer.apply(gradients, model.trainable_variables)
            # Early averages follow the weights closely, or they would remember the random start.
            age = tf.cast(first + index, tf.float32)
            decay = tf.minimum(parameters.ema_decay, (1 + age) / (10 + age))
            for average, value in pairs:
                average.assign(value + decay * (average - value))
            total += loss
            correct += tf.reduce_sum(tf.cast(tf.argmax(logits, 1, tf.int32) == labels[index], tf.int32))
            index += 1
        return total, correct

    return steps
