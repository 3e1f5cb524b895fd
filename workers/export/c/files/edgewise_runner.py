"""Runs the network in network.npz with numpy alone: python edgewise_runner.py RECORDING.wav

    runner = Runner(".")
    logits = runner.run(audio)  # (streams, samples) of any length, again and again; see `Runner.run`

Scores do not depend on how a stream is cut into calls. Weights are in float32, whatever the C library's are.
"""

import json
import sys
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Activation = Callable[[Array], Array]


def _sigmoid(values: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-np.clip(values, -80, 80))))


def _softmax(values: Array) -> Array:
    powers: Array = np.exp(values - values.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


ACTIVATIONS: dict[str, Activation] = {
    "linear": lambda values: values,
    "relu": lambda values: np.maximum(values, 0),
    "sigmoid": _sigmoid,
    "softmax": _softmax,
    "swish": lambda values: values * _sigmoid(values),
}


class Features:
    """Log-mel or cepstral features: (streams, samples) → (streams, frames, features)."""

    def __init__(self, parameters: dict[str, Any], arrays: dict[str, Array]) -> None:
        rate = parameters["sample_rate"]
        self.length = round(rate * parameters["window_size_ms"] / 1000)
        self.stride = round(rate * parameters["window_stride_ms"] / 1000)
        self.floor = parameters["log_epsilon"]
        self.arrays = arrays

    def __call__(self, audio: Array) -> Array:
        """Compute the features of all whole windows."""
        windows = np.lib.stride_tricks.sliding_window_view(audio, self.length, axis=1)[:, :: self.stride]
        points = 1 << (self.length - 1).bit_length()
        magnitude = np.abs(np.fft.rfft(windows * self.arrays["window"], points))
        features: Array = np.log(np.maximum(magnitude @ self.arrays["filters"], self.floor))
        if "cosines" in self.arrays:
            features = features @ self.arrays["cosines"]
        return features.astype(np.float32)


class Stage:
    """One stage of the network, with its state."""

    def __init__(self, description: dict[str, Any], arrays: dict[str, Array], streams: int) -> None:
        self.arrays, self.activation = arrays, ACTIVATIONS[description["activation"]]
        self.stride, self.residual = description["stride"], description["residual"]
        order = len(arrays["column"]) if "column" in arrays else 0
        self.memory = np.zeros((streams, description["channels"], order), np.float32)
        self.hidden = np.zeros((streams, len(arrays["bias"])), np.float32)

    def remember(self, signal: Array) -> None:
        """Let the memory take a frame."""
        if "column" in self.arrays:
            self.memory = self.memory @ self.arrays["transition"].T + signal[:, :, None] * self.arrays["column"]

    def output(self, signal: Array) -> Array:
        """Compute the stage's values for the frame that it took."""
        read, arrays = signal, self.arrays
        if "filters" in arrays:
            read = np.einsum("sco,cof->scf", self.memory, arrays["filters"]).reshape(len(signal), -1)
        elif "column" in arrays:
            read = self.memory.reshape(len(signal), -1)
        if "recurrent_kernel" in arrays:
            read = np.concatenate([read, signal], axis=1)
            brought = read @ arrays["kernel"] + arrays["bias"]
            self.hidden = self.activation(brought + self.hidden @ arrays["recurrent_kernel"])
            return self.hidden
        hidden: Array = self.activation(read @ arrays["kernel"] + arrays["bias"])
        if "projection_kernel" in arrays:
            hidden = hidden @ arrays["projection_kernel"] + arrays["projection_bias"]
        return hidden + signal if self.residual else hidden


class Runner:
    """Streams of audio → scores. It has the methods of nengo-edge's runners."""

    def __init__(self, directory: str | Path) -> None:
        with np.load(Path(directory) / "network.npz") as stored:
            self._arrays = {name: stored[name] for name in stored.files}
        self._description = json.loads(self._arrays.pop("header").tobytes())
        self.labels: list[str] = self._description["labels"]
        self.sample_rate: int = self._description["preprocessing"]["sample_rate"]
        self.features = Features(self._description["preprocessing"], self._part("features"))
        self.reset_state()

    def reset_state(self, batch_size: int = 1) -> None:
        """Begin new streams."""
        stages = self._description["stages"]
        self._stages = [Stage(stage, self._part(f"{index}"), batch_size) for index, stage in enumerate(stages)]
        self._logits = np.zeros((batch_size, len(self._arrays["readout.bias"])), np.float32)
        self._leftover: Array | None = None
        self._phase = 0

    def run(self, audio: Array) -> Array:
        """Take the next samples (streams, samples); return the scores of the newest frame, (streams, labels).

        Streams that begin with less than a window begin with silence.
        """
        if len(audio) != len(self._logits):
            self.reset_state(len(audio))
        if self._leftover is None:
            missing = max(0, self.features.length - audio.shape[1])
            self._leftover = np.zeros((len(audio), missing), np.float32)
        joined = np.concatenate([self._leftover, audio], axis=1)
        count = max(0, 1 + (joined.shape[1] - self.features.length) // self.features.stride)
        self._leftover = joined[:, count * self.features.stride :]
        if count:
            for frame in np.moveaxis(self.features(joined), 1, 0):
                self._take(frame)
        return self._logits.copy()

    def _take(self, frame: Array) -> None:
        """Take one frame. What follows a strided stage waits between the frames that it gives."""
        signal = frame * self._arrays["input.factor"] + self._arrays["input.offset"]
        phase, period = self._phase, 1
        self._phase = (phase + 1) % self._description["period"]
        for stage in self._stages:
            stage.remember(signal)
            period *= stage.stride
            if phase % period:
                return
            signal = stage.output(signal)
        self._logits = signal @ self._arrays["readout.kernel"] + self._arrays["readout.bias"]

    def _part(self, name: str) -> dict[str, Array]:
        return {key.split(".", 1)[1]: value for key, value in self._arrays.items() if key.startswith(f"{name}.")}


def main() -> None:
    """Say what a recording is taken for."""
    if len(sys.argv) != 2:
        sys.exit("Name a recording: python edgewise_runner.py RECORDING.wav")
    runner = Runner(Path(__file__).resolve().parent)
    with wave.open(sys.argv[1], "rb") as file:
        if (file.getnchannels(), file.getsampwidth(), file.getframerate()) != (1, 2, runner.sample_rate):
            sys.exit(f"The recording must have one channel of 16 bits and {runner.sample_rate:,} samples a second.")
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    logits = runner.run(samples.astype(np.float32)[None] / 32768)
    print(runner.labels[int(logits[0].argmax())])


if __name__ == "__main__":
    main()
