"""Running trained networks over whole clips, and over streams."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from keras import ops

from workers.engine import backends, networks
from workers.engine.batches import plain_features
from workers.engine.data import Clips
from workers.engine.features import FeatureExtractor
from workers.engine.networks import FoldedNetwork
from workers.engine.weights import TrainedNetwork

FloatArray = npt.NDArray[np.float32]

BATCH = 256


def infer(network: TrainedNetwork, clips: Clips, cache: Path | None = None) -> FloatArray:
    """Return the logits (clips, labels) of clips as they are, by the training form.

    Args:
        network: the network.
        clips: the clips.
        cache: holds their features (see `plain_features`).
    """
    features = plain_features(clips, network.clip_samples, FeatureExtractor(network.preprocessing), cache)
    model = networks.build(network.spec, features.shape[1], features.shape[2], len(network.labels))
    networks.assign(model, network.arrays)
    return predict(backends.load().compiled_prediction(model), features)


def predict(prediction: Callable[[FloatArray], FloatArray], features: FloatArray) -> FloatArray:
    """Return the logits (clips, labels) of any number of clips, by a compiled prediction of `BATCH` clips."""
    parts = []
    for begin in range(0, len(features), BATCH):
        part = features[begin : begin + BATCH]
        parts.append(prediction(padded(part, BATCH - len(part)))[: len(part)])
    return np.concatenate(parts)


def padded(array: npt.NDArray[Any], count: int) -> npt.NDArray[Any]:
    """Append `count` zero rows, so that shapes never change and nothing is compiled twice."""
    return np.concatenate([array, np.zeros((count, *array.shape[1:]), array.dtype)]) if count else array


def compiled_stream(network: FoldedNetwork) -> Callable[[FloatArray], FloatArray]:
    """Compile the streaming form: features (streams, frames, features) → logits after each frame, from zero states."""

    def stream(features: Any) -> Any:
        count, frames, _ = features.shape
        by_frame = ops.transpose(features, (1, 0, 2))

        def next_frame(index: Any, carried: tuple[list[Any], Any]) -> tuple[list[Any], Any]:
            states, logits = carried
            scores, states = networks.streaming_step(network, ops.take(by_frame, index, axis=0), states)
            return states, ops.slice_update(logits, (index, 0, 0), scores[None])

        begin = [ops.zeros((count, size)) for size in network.state_shapes]
        empty = ops.zeros((frames, count, network.labels))
        _, logits = ops.fori_loop(0, frames, next_frame, (begin, empty))
        return ops.transpose(logits, (1, 0, 2))

    return backends.load().compiled(stream)
