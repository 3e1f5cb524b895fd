"""Weights that learn to be integers, for networks that lose too much when they are only rounded.

Every value is rounded as the device will round it, with the scales that calibration chose, while gradients pass as if
it was not (straight-through estimator: Bengio, Léonard & Courville 2013; Jacob et al. 2018). What the network learns is
the scores of the trained one, since that is what it stands for (distillation: Ba & Caruana 2014).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import ops
from threadpoolctl import threadpool_limits

from edgewise.spec.run import RunParameters
from workers.engine import backends, networks
from workers.engine.backends import Backend
from workers.engine.batches import BatchSource
from workers.engine.data import TrainingData
from workers.engine.networks import FoldedNetwork
from workers.engine.training import learning_rate
from workers.engine.weights import TrainedNetwork
from workers.export.tflite_graph import SHARES, Scale
from workers.export.tflite_int8 import INTEGERS, Scales, step

STEPS = 300
STEPS_PER_DISPATCH = 10
LEARNING_RATE = 0.1
"""As a share of the training's."""
LEARNED = ("kernel", "bias", "filters", "projection_kernel", "projection_bias", "recurrent_kernel")
"""Arrays of a stage that learn; what makes its memory is mathematics."""


@dataclass(frozen=True)
class Lessons:
    """What a network was trained with."""

    data: TrainingData
    parameters: RunParameters


def finetune(trained: TrainedNetwork, scales: Scales, lessons: Lessons) -> FoldedNetwork:
    """Return the network with weights that give its scores in integers of these scales.

    The batches are those of its training, from the first step on, so the same run gives the same weights.
    """
    rate = LEARNING_RATE * lessons.parameters.learning_rate
    parameters = lessons.parameters.model_copy(update={"steps": STEPS, "learning_rate": rate})
    source = BatchSource(lessons.data, parameters)
    backend = backends.load()
    lesson = _Lesson(trained, scales, backend, parameters.preprocessing.num_frames(trained.clip_samples))
    loop = backend.compiled_loop(lesson, lesson.variables)
    schedule = [(first, STEPS_PER_DISPATCH) for first in range(0, STEPS, STEPS_PER_DISPATCH)]
    # As in training: the threads of numpy's BLAS would take the cores from it.
    with threadpool_limits(1, user_api="blas"), closing(source.dispatches(schedule)) as dispatches:
        for batch in dispatches:
            rates = [learning_rate(parameters, batch.first + index) for index in range(batch.count)]
            loop(batch.features, batch.labels, np.asarray(rates, dtype=np.float32), batch.first, batch.count)
    return lesson.learned()


class _Lesson:
    """One step: the network in integers comes closer to the trained one."""

    def __init__(self, trained: TrainedNetwork, scales: Scales, backend: Backend, frames: int) -> None:
        folded = networks.fold(trained.spec, trained.arrays)
        self._teacher = networks.build(trained.spec, frames, folded.features, folded.labels)
        networks.assign(self._teacher, trained.arrays)
        self._pupil = keras.Layer()
        self._network = _with_weights(folded, self._weight)
        self._scales, self._backend = scales, backend
        self._optimizer = keras.optimizers.Adam()
        self._optimizer.build(self._pupil.trainable_variables)
        self.variables = [*self._teacher.variables, *self._pupil.variables, *self._optimizer.variables]
        """All that a step reads and changes."""

    def __call__(self, features: Any, labels: Any, rate: Any, number: Any) -> tuple[Any, Any]:
        """Learn from one batch, (batch, frames, features): its loss, and how many clips get the trained label."""
        self._optimizer.learning_rate.assign(rate)
        expected = self._teacher(features, training=False)

        def judged() -> tuple[Any, Any]:
            scores = rounded_scores(self._network, self._scales, features)
            return _distance(expected, scores), scores

        loss, scores, gradients = self._backend.value_and_gradients(judged, self._pupil)
        self._optimizer.apply(gradients)
        same = ops.argmax(scores, axis=1) == ops.argmax(expected, axis=1)
        return loss, ops.sum(ops.cast(same, "int32"))

    def learned(self) -> FoldedNetwork:
        """Return the network with the weights that it has by now."""
        return _with_weights(self._network, lambda weight: weight.numpy())

    def _weight(self, values: npt.NDArray[np.float32]) -> Any:
        weight = self._pupil.add_weight(values.shape, "zeros")
        weight.assign(values)
        return weight


def _with_weights(network: FoldedNetwork, make: Callable[[Any], Any]) -> FoldedNetwork:
    """Put other arrays in the place of those that learn."""
    stages = [
        replace(stage, **{name: make(value) for name in LEARNED if (value := getattr(stage, name)) is not None})
        for stage in network.stages
    ]
    readout = {name: make(getattr(network, name)) for name in ("readout_kernel", "readout_bias")}
    return replace(network, stages=tuple(stages), **readout)


def _distance(expected: Any, scores: Any) -> Any:
    """Mean square of how far scores are apart; what all scores of a clip have in common does not count."""
    difference = scores - expected
    return ops.mean(ops.square(difference - ops.mean(difference, axis=-1, keepdims=True)))


# --- a network in integers, with gradients ----------------------------------------------------------------------------


def rounded_scores(network: FoldedNetwork, scales: Scales, features: Any) -> Any:
    """Compute what the TFLite model of `network` and `scales` computes: (clips, frames, features) → logits."""
    return keras.layers.RNN(_RoundedCell(network, scales))(features)


class _RoundedCell(keras.Layer):  # type: ignore[misc]
    """One frame of a network in integers, as a cell that Keras can run over all frames."""

    def __init__(self, network: FoldedNetwork, scales: Scales) -> None:
        super().__init__()
        self.state_size, self.output_size = network.state_shapes, network.labels
        self._network, self._scales, self._chosen = network, scales, scales.states(network)

    def call(self, frame: Any, states: Sequence[Any]) -> tuple[Any, list[Any]]:
        """Compute one frame (batch, features) with states (batch, size): logits (batch, labels), next states."""
        before = [Rounded(values, scale) for values, scale in zip(states, self._chosen, strict=True)]
        heard = quantised(frame[:, None], self._scales.frame)
        scores, after = step(RoundedOperators(), self._network, self._scales, heard, before)
        return scores.values, [state.values for state in after]


@dataclass(frozen=True)
class Rounded:
    """Numbers that integers stand for, (batch, *shape)."""

    values: Any
    scale: Scale

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one item of the batch."""
        return tuple(self.values.shape[1:])


class RoundedOperators:
    """The operators of `tflite_graph.Graph` on numbers that are rounded as there."""

    def dense(self, x: Rounded, kernel: Any, bias: Any, scale: Scale, *, relu: bool = False) -> Rounded:
        """Multiply the last dimension by `kernel` (inputs, units)."""
        summed = ops.matmul(x.values, _rounded_weights(kernel, axis=0)) + _float32(bias)
        return quantised(ops.relu(summed) if relu else summed, scale)

    def depthwise(self, x: Rounded, kernel: Any, bias: Any, scale: Scale) -> Rounded:
        """Sum (rows, 1, channels) over the rows by `kernel` (channels, rows, count)."""
        summed = ops.einsum("brc,crk->bck", x.values[:, :, 0], _rounded_weights(kernel, axis=1))
        flat = ops.reshape(summed, (x.values.shape[0], 1, 1, -1))
        return quantised(flat + _float32(bias), scale)

    def add(self, a: Rounded, b: Rounded, scale: Scale) -> Rounded:
        """Add two tensors of one shape."""
        return quantised(a.values + b.values, scale)

    def multiply(self, a: Rounded, b: Rounded, scale: Scale) -> Rounded:
        """Multiply by a tensor that has one value for each item of a batch, or the same shape."""
        return quantised(a.values * b.values, scale)

    def concatenate(self, tensors: Sequence[Rounded]) -> Rounded:
        """Join tensors of one scale along their last dimension."""
        return Rounded(ops.concatenate([tensor.values for tensor in tensors], axis=-1), tensors[0].scale)

    def rescale(self, x: Rounded, scale: Scale) -> Rounded:
        """Write the same numbers with another scale."""
        return x if x.scale == scale else quantised(x.values, scale)

    def reshape(self, x: Rounded, shape: Sequence[int]) -> Rounded:
        """Give an item of the batch another shape."""
        return Rounded(ops.reshape(x.values, (x.values.shape[0], *shape)), x.scale)

    def transpose(self, x: Rounded, order: Sequence[int]) -> Rounded:
        """Reorder the dimensions, which are counted from 1."""
        return Rounded(ops.transpose(x.values, (0, *order)), x.scale)

    def take(self, x: Rounded, position: int) -> Rounded:
        """Take one value of the last dimension."""
        return Rounded(x.values[..., position : position + 1], x.scale)

    def sigmoid(self, x: Rounded) -> Rounded:
        """Apply the logistic function."""
        return quantised(ops.sigmoid(x.values), SHARES)

    def softmax(self, x: Rounded) -> Rounded:
        """Apply softmax to the last dimension."""
        return quantised(ops.softmax(x.values), SHARES)


def quantised(values: Any, scale: Scale) -> Rounded:
    """Round and clip; what is clipped has no gradient."""
    integers = ops.clip(values / scale.step + scale.zero, INTEGERS.min, INTEGERS.max)
    return Rounded((_straight_through(ops.round(integers), integers) - scale.zero) * scale.step, scale)


def _rounded_weights(kernel: Any, axis: int) -> Any:
    """Round weights, the inputs of each unit along `axis`, by a step for each unit."""
    kernel = _float32(kernel)
    largest = ops.max(ops.abs(kernel), axis=axis, keepdims=True)
    steps = ops.stop_gradient(ops.maximum(largest / INTEGERS.max, np.finfo(np.float32).tiny))
    return _straight_through(ops.round(kernel / steps) * steps, kernel)


def _straight_through(rounded: Any, values: Any) -> Any:
    return values + ops.stop_gradient(rounded - values)


def _float32(values: Any) -> Any:
    return ops.cast(values, "float32")
