"""What the engine is compared with, where it takes more than an import."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgewise.spec.run import AudioPreprocessing

FloatArray = npt.NDArray[np.floating[Any]]

DS_CNN = "ds-cnn"
"""Name of the network in `workers.bench.ds_cnn`."""


def client_features(parameters: AudioPreprocessing) -> Callable[[FloatArray], FloatArray]:
    """Return the features of `nengo-edge`'s device code: (clips, samples) → (clips, frames, features), in float64.

    The module is loaded by its file, as devices get it: the package around it imports TensorFlow.
    """
    package = importlib.util.find_spec("nengo_edge")
    assert package is not None
    assert package.origin is not None
    file = Path(package.origin).parent / "device_modules" / "np_mfcc.py"
    spec = importlib.util.spec_from_file_location("np_mfcc", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    extract: Callable[[FloatArray], FloatArray] = module.LogMelFeatureExtractor(**parameters.model_dump())
    return extract


def librosa_features(parameters: AudioPreprocessing) -> Callable[[FloatArray], FloatArray]:
    """Return `librosa.feature.mfcc` of one clip (samples,), with the same windows, bands and number of features."""
    import librosa

    def extract(audio: FloatArray) -> FloatArray:
        features: FloatArray = librosa.feature.mfcc(
            y=audio,
            sr=parameters.sample_rate,
            n_mfcc=parameters.dct_num_features,
            n_fft=parameters.fft_points,
            win_length=parameters.window_samples,
            hop_length=parameters.stride_samples,
            center=False,
            n_mels=parameters.mel_num_bins,
            fmin=parameters.mel_lower_edge_hertz,
            fmax=parameters.mel_upper_edge_hertz,
            htk=True,
            norm=None,
        )
        return features

    return extract
