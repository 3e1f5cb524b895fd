"""JAX, for machines whose GPU (or other device) JAX sees and TensorFlow does not: one XLA program on one device.

JAX compiles functions without side effects. Inside a `keras.StatelessScope` variables take their values from, and leave
them in, a mapping; so the same step that changes TensorFlow's variables in place is such a function here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import jax
import keras
import numpy as np
from jax import numpy as jnp

from workers.engine.backends import FloatArray, Loop, Step


def load(batch_size: int) -> Jax:
    """Use JAX's first device, whatever the batch."""
    return Jax()


class Jax:
    """Keras on JAX."""

    replicas = 1

    def scope(self) -> AbstractContextManager[Any]:
        """Do nothing: there is one device."""
        return nullcontext()

    def on_replicas(self, function: Callable[[Any, Any], tuple[Any, Any]], features: Any, labels: Any) -> Any:
        """Compute all on the one device."""
        return function(features, labels)

    def value_and_gradients(self, function: Callable[[], tuple[Any, Any]], model: keras.Layer) -> tuple[Any, Any, Any]:
        """Differentiate the function with respect to the trainable variables; carry over what it does to the others."""
        trained, others = model.trainable_variables, model.non_trainable_variables

        def pure(trained_values: list[Any], other_values: list[Any]) -> tuple[Any, tuple[Any, list[Any]]]:
            with _scope([*trained, *others], [*trained_values, *other_values]) as scope:
                loss, other = function()
            return loss, (other, _values(scope, others))

        differentiated = jax.value_and_grad(pure, has_aux=True)
        (loss, (other, changed)), gradients = differentiated(_present(trained), _present(others))
        _assign(others, changed)
        return loss, other, gradients

    def compiled_loop(self, step: Step, variables: Sequence[Any]) -> Loop:
        """Compile the loop; all variables go in as values and come out as values."""

        @jax.jit
        def loop(values: list[Any], features: Any, labels: Any, rates: Any, first: Any, count: Any) -> Any:
            def body(index: Any, carried: tuple[list[Any], Any, Any]) -> tuple[list[Any], Any, Any]:
                before, loss, hits = carried
                with _scope(variables, before) as scope:
                    step_loss, step_hits = step(features[index], labels[index], rates[index], first + index)
                return _values(scope, variables), loss + step_loss, hits + step_hits

            return jax.lax.fori_loop(0, count, body, (values, jnp.float32(0), jnp.int32(0)))

        def call(features: Any, labels: Any, rates: Any, first: int, count: int) -> tuple[float, int]:
            values, loss, hits = loop(_present(variables), features, labels, rates, np.int32(first), np.int32(count))
            _assign(variables, values)
            return float(loss), int(hits)

        return call

    def compiled_prediction(self, model: keras.Model) -> Callable[[FloatArray], FloatArray]:
        """Compile the model as it is used, without dropout."""

        @jax.jit
        def prediction(trained: list[Any], others: list[Any], features: Any) -> Any:
            logits, _ = model.stateless_call(trained, others, features, training=False)
            return logits.astype(jnp.float32)

        def call(features: FloatArray) -> FloatArray:
            trained, others = _present(model.trainable_variables), _present(model.non_trainable_variables)
            return np.asarray(prediction(trained, others, features))

        return call

    def compiled(self, function: Callable[[Any], Any]) -> Callable[[FloatArray], FloatArray]:
        """Compile a function without variables."""
        program = jax.jit(function)
        return lambda values: np.asarray(program(values))

    def is_out_of_memory(self, error: BaseException) -> bool:
        """Whether XLA ran out of memory; it has one class for all that goes wrong while it runs."""
        return isinstance(error, jax.errors.JaxRuntimeError) and "RESOURCE_EXHAUSTED" in str(error)


def _scope(variables: Sequence[Any], values: Sequence[Any]) -> keras.StatelessScope:
    return keras.StatelessScope(list(zip(variables, values, strict=True)))


def _values(scope: keras.StatelessScope, variables: Sequence[Any]) -> list[Any]:
    return [scope.get_current_value(variable) for variable in variables]


def _present(variables: Sequence[Any]) -> list[Any]:
    return [variable.value for variable in variables]


def _assign(variables: Sequence[Any], values: Sequence[Any]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
