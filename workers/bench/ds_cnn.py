"""DS-CNN, the rival: a network of depthwise separable convolutions (Zhang et al. 2017, "Hello Edge", DS-CNN S).

It is trained by Keras' own `fit`, on the same batches and by the same parameters as our networks: XLA, which their
compiled loop needs, makes convolutions slow on CPUs.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from edgewise.spec.run import RunParameters
from workers.engine.batches import BatchSource, plain_features
from workers.engine.data import Clips, TrainingData
from workers.engine.features import FeatureExtractor
from workers.engine.training import learning_rate

DEFAULTS = {"dct_num_features": 10}
"""The paper's input: ten cepstral features of frames of 40 ms, every 20 ms."""
CHANNELS = 64
BLOCKS = 4


def build(frames: int, features: int, labels: int, dropout: float = 0.0, *, seed: int = 0) -> keras.Model:
    """Make the network: (batch, frames, features) → logits (batch, labels)."""
    inputs = keras.Input((frames, features))
    signal = keras.layers.BatchNormalization(center=False, scale=False)(inputs)
    signal = keras.layers.Reshape((frames, features, 1))(signal)
    signal = _normalised(keras.layers.Conv2D(CHANNELS, (10, 4), 2, padding="same", use_bias=False)(signal))
    for _ in range(BLOCKS):
        signal = _normalised(keras.layers.DepthwiseConv2D(3, padding="same", use_bias=False)(signal))
        signal = _normalised(keras.layers.Conv2D(CHANNELS, 1, use_bias=False)(signal))
    signal = keras.layers.Dropout(dropout, seed=seed)(keras.layers.GlobalAveragePooling2D()(signal))
    return keras.Model(inputs, keras.layers.Dense(labels)(signal))


def _normalised(signal: Any) -> Any:
    return keras.layers.ReLU()(keras.layers.BatchNormalization()(signal))


def train(parameters: RunParameters, data: TrainingData) -> keras.Model:
    """Train on the batches of a run, and return the moving average of the weights that validated best."""
    keras.utils.set_random_seed(parameters.seed)
    preprocessing = parameters.preprocessing
    model = build(
        preprocessing.num_frames(data.clip_samples),
        preprocessing.num_features,
        len(data.labels),
        parameters.dropout,
        seed=parameters.seed,
    )
    optimizer = keras.optimizers.AdamW(
        parameters.learning_rate,
        weight_decay=parameters.weight_decay,
        global_clipnorm=parameters.gradient_clip or None,
        use_ema=True,
        ema_momentum=parameters.ema_decay,
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=parameters.label_smoothing)
    model.compile(optimizer, loss, metrics=["accuracy"], jit_compile=False)
    epochs = parameters.steps // parameters.validation_interval
    model.fit(
        _Batches(parameters, data),
        epochs=epochs,
        steps_per_epoch=parameters.validation_interval,
        validation_data=(_features(parameters, data, data.validation), _one_hot(data, data.validation.label)),
        shuffle=False,
        verbose=0,
        callbacks=[
            _Schedule(parameters),
            # Before what keeps the best: it then keeps averages, as our training does.
            keras.callbacks.SwapEMAWeights(swap_on_epoch=True),
            keras.callbacks.EarlyStopping("val_accuracy", patience=epochs, mode="max", restore_best_weights=True),
        ],
    )
    return model


def logits(model: keras.Model, parameters: RunParameters, data: TrainingData, clips: Clips) -> npt.NDArray[np.float32]:
    """Return the logits (clips, labels) of clips as they are."""
    return np.asarray(model.predict(_features(parameters, data, clips), verbose=0), dtype=np.float32)


def _features(parameters: RunParameters, data: TrainingData, clips: Clips) -> npt.NDArray[np.float32]:
    return plain_features(clips, data.clip_samples, FeatureExtractor(parameters.preprocessing))


def _one_hot(data: TrainingData, labels: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    return np.asarray(np.eye(len(data.labels), dtype=np.float32)[labels])


class _Batches(keras.utils.PyDataset):  # type: ignore[misc]
    """The batches of a run, step by step."""

    def __init__(self, parameters: RunParameters, data: TrainingData) -> None:
        super().__init__(workers=2, max_queue_size=4)
        self._source = BatchSource(data, parameters)
        self._parameters, self._data = parameters, data

    def __len__(self) -> int:
        return self._parameters.steps

    def __getitem__(self, step: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        features, labels = self._source.batch(step)
        return features, _one_hot(self._data, labels)


class _Schedule(keras.callbacks.Callback):  # type: ignore[misc]
    """The learning rate of each step."""

    def __init__(self, parameters: RunParameters) -> None:
        super().__init__()
        self._parameters = parameters
        self._step = 0

    def on_train_batch_begin(self, batch: int, logs: object = None) -> None:
        self.model.optimizer.learning_rate = learning_rate(self._parameters, self._step)
        self._step += 1
