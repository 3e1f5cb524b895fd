"""One step of training: forward, loss, gradients, AdamW, and the moving average of the weights.

Written once, over Keras' variables and `keras.ops`, for every backend.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from edgewise.spec.run import TrainingParameters
from workers.engine import networks
from workers.engine.backends import Backend


class TrainingStep:
    """A step that changes the variables of a model, of its moving average, and of an optimizer.

    Args:
        parameters: of the training.
        model: the training form that learns, made in the backend's scope.
        averaged: another one of the same network, for the moving average.
        backend: takes the gradients.
    """

    def __init__(
        self, parameters: TrainingParameters, model: keras.Model, averaged: keras.Model, backend: Backend
    ) -> None:
        self._parameters, self._model, self._backend = parameters, model, backend
        with backend.scope():
            self._optimizer = _optimizer(parameters, model)
        if backend.replicas > 1:
            networks.synchronize(model)
        named = zip(networks.named_variables(averaged), networks.named_variables(model), strict=True)
        self._pairs = [(average, variable) for (_, average), (_, variable) in named]
        self._loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=parameters.label_smoothing)
        self.variables: list[Any] = [*model.variables, *averaged.variables, *self._optimizer.variables]
        """All that the steps of a run change: what a checkpoint holds."""

    def __call__(self, features: Any, labels: Any, rate: Any, number: Any) -> tuple[Any, Any]:
        """Learn from one batch.

        Args:
            features: (batch, frames, features).
            labels: (batch,).
            rate: learning rate.
            number: of the step, counted from 0.

        Returns:
            The loss, and how many clips were heard right, both before the update.
        """
        self._optimizer.learning_rate.assign(rate)
        loss, hits = self._backend.on_replicas(self._update, features, labels)
        self._average(number)
        return loss, hits

    def _update(self, features: Any, labels: Any) -> tuple[Any, Any]:
        def judged() -> tuple[Any, Any]:
            logits = ops.cast(self._model(features, training=True), "float32")
            return self._loss(ops.one_hot(labels, logits.shape[-1]), logits), logits

        loss, logits, gradients = self._backend.value_and_gradients(judged, self._model)
        if self._parameters.gradient_clip:
            gradients = _clipped(gradients, self._parameters.gradient_clip)
        # The optimizer adds up what the devices give it, and each of them has the sum already.
        self._optimizer.apply([gradient / self._backend.replicas for gradient in gradients])
        return loss, ops.sum(ops.cast(ops.cast(ops.argmax(logits, axis=1), "int32") == labels, "int32"))

    def _average(self, number: Any) -> None:
        # Early averages follow the weights closely, or they would remember the random start.
        age = ops.cast(number, "float32")
        decay = ops.minimum(self._parameters.ema_decay, (1 + age) / (10 + age))
        for average, variable in self._pairs:
            average.assign(variable + decay * (average - variable))


def _optimizer(parameters: TrainingParameters, model: keras.Model) -> Any:
    """AdamW (Loshchilov & Hutter 2019); biases and normalisation do not decay."""
    optimizer = keras.optimizers.AdamW(parameters.learning_rate, weight_decay=parameters.weight_decay)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    optimizer.build(model.trainable_variables)
    return optimizer


def _clipped(gradients: Sequence[Any], limit: float) -> list[Any]:
    """Scale all gradients alike, so that their common norm is at most `limit` (Pascanu, Mikolov & Bengio 2013)."""
    norm = ops.sqrt(sum(ops.sum(ops.square(gradient)) for gradient in gradients))
    return [gradient * (limit / ops.maximum(norm, limit)) for gradient in gradients]
