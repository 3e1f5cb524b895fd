"""The libraries that Keras can compute with, and what differs between them.

Everything that is trained is written once, over Keras' variables and `keras.ops`. A backend compiles it, takes its
gradients, and spreads it over devices. Keras reads `KERAS_BACKEND` when it is first imported and cannot change its mind
afterwards, so a process has one backend for life.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from importlib import import_module
from typing import Any, Protocol

import keras
import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]

Step = Callable[[Any, Any, Any, Any], tuple[Any, Any]]
"""(features, labels, learning rate, number of the step) → (loss, hits): one step, which changes variables."""

Loop = Callable[[FloatArray, npt.NDArray[np.int32], FloatArray, int, int], tuple[float, int]]
"""(features, labels and learning rates of several steps, first step, steps) → (sum of losses, hits)."""


class Backend(Protocol):
    """What training asks of a library."""

    replicas: int
    """Devices that share each batch."""

    def scope(self) -> AbstractContextManager[Any]:
        """Return a context: variables that are made inside are on all these devices."""

    def on_replicas(self, function: Callable[[Any, Any], tuple[Any, Any]], features: Any, labels: Any) -> Any:
        """Compute (loss, count) of a batch: each device of its part, then the sum of both.

        To be called inside a step. Keras' losses are the mean over a part, divided by the number of devices.
        """

    def value_and_gradients(self, function: Callable[[], tuple[Any, Any]], model: keras.Layer) -> tuple[Any, Any, Any]:
        """Compute (loss, other), and the gradients of the loss, summed over the devices.

        To be called inside `on_replicas`.
        """

    def compiled_loop(self, step: Step, variables: Sequence[Any]) -> Loop:
        """Compile many steps into one program; `variables` are all that a step reads and changes."""

    def compiled_prediction(self, model: keras.Model) -> Callable[[FloatArray], FloatArray]:
        """Compile features (clips, frames, features) → logits (clips, labels), in float32."""

    def compiled(self, function: Callable[[Any], Any]) -> Callable[[FloatArray], FloatArray]:
        """Compile a function of one array that neither reads nor changes variables."""

    def is_out_of_memory(self, error: BaseException) -> bool:
        """Whether this is how the library says that something does not fit into memory."""


def load(batch_size: int = 1) -> Backend:
    """Return the backend of this process, for batches of this size."""
    module = import_module(f"{__name__}.{keras.backend.backend()}")
    backend: Backend = module.load(batch_size)
    return backend
