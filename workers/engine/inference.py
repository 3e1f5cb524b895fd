"""Running trained networks over whole clips, and over streams."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from workers.engine import networks
from workers.engine.batches import plain_features
from workers.engine.data import Clips
from workers.engine.features import FeatureExtractor
from workers.engine.networks import FoldedNetwork
from workers.engine.weights import TrainedNetwork

BATCH = 256


def infer(network: TrainedNetwork, clips: Clips) -> npt.NDArray[np.float32]:
    """Return the logits (clips, labels) of clips as they are, by the training form."""
    features = plain_features(clips, network.clip_samples, FeatureExtractor(network.preprocessing))
    model = networks.build(network.spec, features.shape[1], features.shape[2], len(network.labels))
    networks.assign(model, network.arrays)
    return predict(compiled_prediction(model), features)


def compiled_prediction(model: keras.Model) -> Any:
    """Compile the logits of a fixed number of clips."""

    @tf.function(jit_compile=True)  # type: ignore[untyped-decorator]
    def prediction(features: Any) -> Any:
        return tf.cast(model(features, training=False), tf.float32)

    return prediction


def predict(prediction: Any, features: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the logits (clips, labels) of any number of clips, by a compiled prediction."""
    parts = []
    for begin in range(0, len(features), BATCH):
        part = features[begin : begin + BATCH]
        parts.append(prediction(padded(part, BATCH - len(part))).numpy()[: len(part)])
    return np.concatenate(parts)


def padded(array: npt.NDArray[Any], count: int) -> Any:
    """Append `count` zero rows, so that shapes never change and nothing is compiled twice."""
    return tf.constant(np.concatenate([array, np.zeros((count, *array.shape[1:]), array.dtype)]) if count else array)


def compiled_stream(network: FoldedNetwork) -> Any:
    """Compile the streaming form: features (streams, frames, features) → logits after each frame, from zero states."""

    @tf.function(jit_compile=True)  # type: ignore[untyped-decorator]
    def stream(features: Any) -> Any:
        count, frames, _ = features.shape
        by_frame = tf.transpose(features, (1, 0, 2))
        states = [tf.zeros((count, size)) for size in network.state_shapes]
        logits = tf.TensorArray(tf.float32, frames)
        for frame in tf.range(frames):
            scores, states = networks.streaming_step(network, by_frame[frame], states)
            logits = logits.write(frame, scores)
        return tf.transpose(logits.stack(), (1, 0, 2))

    return stream
