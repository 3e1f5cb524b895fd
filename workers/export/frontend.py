"""The features as a TensorFlow graph, for whole clips and for streams."""

from __future__ import annotations

import numpy.typing as npt
import tensorflow as tf

from edgewise.spec.run import AudioPreprocessing
from workers.engine.features import cosine_transform, hann_window, mel_filters


class FeatureGraph:
    """Features of audio, as `workers.engine.features` defines them: (clips, samples) → (clips, frames, features).

    In float64 the graph equals the definition on any audio, but for the rounding of its float32 result. In float32 it
    does to 1e-4 on broadband audio; the logarithm magnifies rounding where a band is nearly empty.
    """

    def __init__(self, parameters: AudioPreprocessing, dtype: npt.DTypeLike) -> None:
        self.parameters = parameters
        self.length, self.stride = parameters.window_samples, parameters.stride_samples
        self.points = parameters.fft_points
        self.dtype = tf.as_dtype(dtype)
        self._window = hann_window(self.length)
        self._filters = mel_filters(self.points // 2 + 1, parameters)
        count = parameters.dct_num_features
        self._transform = cosine_transform(parameters.mel_num_bins, count) if count else None

    def __call__(self, audio: tf.Tensor) -> tf.Tensor:
        """Compute the float32 features of all whole windows; an incomplete one at the end is dropped."""
        starts = tf.range(self.count(audio))[:, None] * self.stride
        windows = tf.gather(tf.cast(audio, self.dtype), starts + tf.range(self.length)[None, :], axis=1)
        magnitude = tf.abs(tf.signal.rfft(windows * self._constant(self._window), [self.points]))
        bands = tf.tensordot(magnitude, self._constant(self._filters), 1)
        features = tf.math.log(tf.maximum(bands, self._constant(self.parameters.log_epsilon)))
        if self._transform is not None:
            features = tf.tensordot(features, self._constant(self._transform), 1)
        return tf.ensure_shape(tf.cast(features, tf.float32), [None, None, self.parameters.num_features])

    def count(self, audio: tf.Tensor) -> tf.Tensor:
        """Count the whole windows in `audio`."""
        return tf.maximum(0, 1 + tf.math.floordiv(tf.shape(audio)[1] - self.length, self.stride))

    def begin(self, audio: tf.Tensor) -> tf.Tensor:
        """Let audio that is shorter than one window begin with silence, so that it holds one whole window."""
        missing = tf.maximum(0, self.length - tf.shape(audio)[1])
        return tf.pad(audio, [[0, 0], [missing, 0]])

    def stream(self, audio: tf.Tensor, leftover: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Compute the features that `audio` completes, for a stream that comes in chunks of any length.

        The features do not depend on how a stream is cut into chunks. A stream whose first chunk is shorter than one
        window begins with as much silence as that window lacks, because the client cannot go on from no frame at all.

        Args:
            audio: (streams, samples), the next chunk.
            leftover: (streams, samples), what the last call returned; no samples at the start.

        Returns:
            The features, and the samples that the next windows still need.
        """
        is_start = tf.equal(tf.shape(leftover)[1], 0)
        joined = tf.concat([leftover, audio], axis=1)
        missing = tf.where(is_start, tf.maximum(0, self.length - tf.shape(joined)[1]), 0)
        padded = tf.pad(joined, [[0, 0], [missing, 0]])
        return self(padded), padded[:, self.count(padded) * self.stride :]

    def _constant(self, values: npt.ArrayLike) -> tf.Tensor:
        return tf.constant(values, self.dtype)
