"""SavedModel: whole clips of audio in, one score for each label out.

`nengo_edge.SavedModelRunner` calls the loaded object with a list of one tensor, which is why `__call__` takes one. All
others use the signatures `serving_default` and `serve`, which give logits and probabilities by name, and `features`,
which gives what they are made from. The graph computes one frame after the other, as streams are computed, so it takes
clips of any length; one that is shorter than a window begins with silence.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from workers.engine.networks import FoldedNetwork, fold, streaming_step
from workers.engine.weights import TrainedNetwork
from workers.export.canonical import canonicalize
from workers.export.frontend import FeatureGraph

FloatArray = npt.NDArray[np.float32]

AUDIO = tf.TensorSpec([None, None], tf.float32, name="audio")


class KeywordSpotter(tf.Module):  # type: ignore[misc]
    """Audio (clips, samples) in [-1, 1] → logits (clips, labels)."""

    def __init__(self, trained: TrainedNetwork) -> None:
        super().__init__()
        # In float64: where a band is nearly empty, the rounding of a float32 spectrum would show in the scores.
        self._extract = FeatureGraph(trained.preprocessing, np.float64)
        self._network = fold(trained.spec, trained.arrays)

    @tf.function(input_signature=[[AUDIO]])  # type: ignore[untyped-decorator]
    def __call__(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        """Compute logits; the one tensor stands in a list because the client passes it so."""
        (audio,) = inputs
        return _last_logits(self._network, self._extract(self._extract.begin(audio)))

    @tf.function(input_signature=[AUDIO])  # type: ignore[untyped-decorator]
    def serve(self, audio: tf.Tensor) -> dict[str, tf.Tensor]:
        """Compute logits and probabilities by name."""
        logits = self([audio])
        return {"logits": logits, "probabilities": tf.nn.softmax(logits)}

    @tf.function(input_signature=[AUDIO])  # type: ignore[untyped-decorator]
    def features(self, audio: tf.Tensor) -> dict[str, tf.Tensor]:
        """Compute the features of all whole windows, which the logits are made from."""
        return {"features": self._extract(self._extract.begin(audio))}


def write(folder: Path, trained: TrainedNetwork) -> None:
    """Write the SavedModel into `folder`: `saved_model.pb` and `variables/`."""
    module = KeywordSpotter(trained)
    signatures = {"serving_default": module.serve, "serve": module.serve, "features": module.features}
    tf.saved_model.save(module, str(folder), signatures=signatures)
    canonicalize(folder)


def load(folder: Path) -> Callable[[FloatArray], FloatArray]:
    """Load the SavedModel in `folder`: audio (clips, samples) → logits (clips, labels)."""
    spotter = tf.saved_model.load(str(folder))
    return lambda audio: np.asarray(spotter([tf.constant(audio)]))


def load_features(folder: Path) -> Callable[[FloatArray], FloatArray]:
    """Load the SavedModel in `folder`: audio (clips, samples) → features (clips, frames, features)."""
    spotter = tf.saved_model.load(str(folder))
    return lambda audio: np.asarray(spotter.signatures["features"](tf.constant(audio))["features"])


def _last_logits(network: FoldedNetwork, features: tf.Tensor) -> tf.Tensor:
    clips, frames = tf.unstack(tf.shape(features)[:2])
    states = [tf.zeros([clips, size]) for size in network.state_shapes]
    _, logits, _ = tf.while_loop(
        lambda frame, logits, states: frame < frames,
        lambda frame, logits, states: (frame + 1, *streaming_step(network, features[:, frame], states)),
        (0, tf.zeros([clips, network.labels]), states),
        shape_invariants=(
            tf.TensorShape([]),
            tf.TensorShape([None, network.labels]),
            [tf.TensorShape([None, size]) for size in network.state_shapes],
        ),
    )
    return logits
