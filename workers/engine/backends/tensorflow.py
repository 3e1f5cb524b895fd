"""TensorFlow: one XLA program on one device; on several GPUs a graph without XLA under `MirroredStrategy`.

A mirrored step reaches variables on several devices, and one XLA program cannot. Each device computes its part of a
batch; gradients and the statistics of batch normalisation are summed over all of them, so that the result is that of
one device. Dropout alone differs: each device draws the same mask for its part.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from workers.engine.backends import FloatArray, Loop, Step


def load(batch_size: int) -> TensorFlow:
    """Use all GPUs that can share a batch evenly; where there is none, the CPU."""
    devices = tf.config.list_logical_devices("GPU")
    return TensorFlow([device.name for device in devices[: _even_share(batch_size, len(devices))]], batch_size)


def _even_share(batch_size: int, devices: int) -> int:
    """Return the largest number of devices, at most `devices`, that divides the batch."""
    return max((count for count in range(1, devices + 1) if batch_size % count == 0), default=1)


class TensorFlow:
    """Keras on TensorFlow.

    Args:
        devices: names of the logical devices; fewer than two: TensorFlow's own choice.
        batch_size: a multiple of their number.
    """

    def __init__(self, devices: Sequence[str], batch_size: int) -> None:
        self.replicas = max(1, len(devices))
        self._share = batch_size // self.replicas
        self._strategy = tf.distribute.MirroredStrategy(devices) if self.replicas > 1 else None

    def scope(self) -> AbstractContextManager[Any]:
        """Mirror variables where there are several devices."""
        return nullcontext() if self._strategy is None else self._strategy.scope()

    def on_replicas(self, function: Callable[[Any, Any], tuple[Any, Any]], features: Any, labels: Any) -> Any:
        """Give each device consecutive clips of the batch."""
        if self._strategy is None:
            return function(features, labels)

        def part() -> tuple[Any, Any]:
            begin = tf.distribute.get_replica_context().replica_id_in_sync_group * self._share
            return function(features[begin : begin + self._share], labels[begin : begin + self._share])

        # Keras' losses are divided by the number of devices already, so that their sum is the mean over the batch.
        return [self._strategy.reduce("sum", value, axis=None) for value in self._strategy.run(part)]

    def value_and_gradients(self, function: Callable[[], tuple[Any, Any]], model: keras.Layer) -> tuple[Any, Any, Any]:
        """Record the function on a tape."""
        with tf.GradientTape() as tape:
            loss, other = function()
        gradients = tape.gradient(loss, model.trainable_variables)
        if self._strategy is not None:
            gradients = tf.distribute.get_replica_context().all_reduce("sum", gradients)
        return loss, other, gradients

    def compiled_loop(self, step: Step, variables: Sequence[Any]) -> Loop:
        """Compile the loop; TensorFlow finds the variables itself."""

        @tf.function(jit_compile=self._strategy is None)  # type: ignore[untyped-decorator]
        def loop(features: Any, labels: Any, rates: Any, first: Any, count: Any) -> tuple[Any, Any]:
            loss, hits, index = tf.constant(0.0), tf.constant(0), tf.constant(0)
            # No `for … in tf.range(count)`: XLA would compile that anew for every count.
            while index < count:
                step_loss, step_hits = step(features[index], labels[index], rates[index], first + index)
                loss += step_loss
                hits += step_hits
                index += 1
            return loss, hits

        def call(features: Any, labels: Any, rates: Any, first: int, count: int) -> tuple[float, int]:
            # As tensors: a Python number would be compiled into the program.
            loss, hits = loop(features, labels, rates, tf.constant(first), tf.constant(count))
            return float(loss), int(hits)

        return call

    def compiled_prediction(self, model: keras.Model) -> Callable[[FloatArray], FloatArray]:
        """Compile the model as it is used, without dropout."""

        return self.compiled(lambda features: tf.cast(model(features, training=False), tf.float32))

    def compiled(self, function: Callable[[Any], Any]) -> Callable[[FloatArray], FloatArray]:
        """Compile a function without variables of its own."""
        program = tf.function(function, jit_compile=True)
        return lambda values: np.asarray(program(values))

    def is_out_of_memory(self, error: BaseException) -> bool:
        """Whether TensorFlow ran out of memory."""
        return isinstance(error, tf.errors.ResourceExhaustedError)
