"""ONNX: whole clips in one file; for streams, the features and one step of the network in two more.

The files are written operator by operator from the folded network. Features are computed in float64, as in the
SavedModel, by the discrete Fourier transform that ONNX has itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from edgewise.spec.run import AudioPreprocessing
from workers.engine.features import cosine_transform, hann_window, mel_filters
from workers.engine.networks import FoldedNetwork, FoldedStage, fold
from workers.engine.weights import TrainedNetwork

CLIP = "clip.onnx"
FEATURES = "features.onnx"
STEP = "step.onnx"
OPERATORS = 17
"""Version of ONNX's operators: the first with the discrete Fourier transform."""
FORMAT = 8
"""Version of the file format that came with them."""

FloatArray = npt.NDArray[np.float32]
Shape = Sequence[str | int]


def write_clip(folder: Path, trained: TrainedNetwork) -> None:
    """Write what takes whole clips: audio (clips, samples) → logits (clips, labels)."""
    network = fold(trained.spec, trained.arrays)
    nodes = Nodes()
    features = _features(nodes, trained.preprocessing)
    nodes.add("Identity", [_last_logits(nodes, network, features)], output="logits")
    _save(folder / CLIP, nodes, [_audio()], [_value("logits", ["clips", network.labels])])


def write_stream(folder: Path, trained: TrainedNetwork) -> None:
    """Write what takes streams: audio → features of its whole windows, and features, states → logits, next states."""
    network = fold(trained.spec, trained.arrays)
    nodes = Nodes()
    nodes.add("Identity", [_features(nodes, trained.preprocessing)], output="features")
    _save(folder / FEATURES, nodes, [_audio()], [_value("features", ["clips", "frames", network.features])])

    nodes = Nodes()
    names = [f"state_{index}" for index in range(len(network.state_shapes))]
    logits, updated = _step(nodes, network, "features", names)
    nodes.add("Identity", [logits], output="logits")
    for name, state in zip(names, updated, strict=True):
        nodes.add("Identity", [state], output=f"next_{name}")
    states = list(zip(names, network.state_shapes, strict=True))
    inputs = [("features", network.features), *states]
    outputs = [("logits", network.labels), *((f"next_{name}", size) for name, size in states)]
    _save(folder / STEP, nodes, *([_value(name, ["batch", size]) for name, size in side] for side in (inputs, outputs)))


def load_clip(folder: Path) -> Callable[[FloatArray], FloatArray]:
    """Load what takes whole clips: audio (clips, samples) → logits (clips, labels)."""
    session = _session(folder / CLIP)

    def logits(audio: FloatArray) -> FloatArray:
        found: FloatArray = session.run(None, {"audio": audio})[0]
        return found

    return logits


def load_stream(folder: Path) -> Callable[[FloatArray], FloatArray]:
    """Load what takes streams, and give it whole clips frame by frame: audio (clips, samples) → logits."""
    extractor, step = _session(folder / FEATURES), _session(folder / STEP)
    sizes = {value.name: value.shape[1] for value in step.get_inputs() if value.name != "features"}

    def logits(audio: FloatArray) -> FloatArray:
        (features,) = extractor.run(None, {"audio": audio})
        states = {name: np.zeros((len(audio), size), np.float32) for name, size in sizes.items()}
        for frame in features.transpose(1, 0, 2):
            found, *updated = step.run(None, {"features": frame, **states})
            states = dict(zip(sizes, updated, strict=True))
        result: FloatArray = found
        return result

    return logits


def load_features(folder: Path) -> Callable[[FloatArray], FloatArray]:
    """Load what computes features: audio (clips, samples) → (clips, frames, features)."""
    extractor = _session(folder / FEATURES)

    def features(audio: FloatArray) -> FloatArray:
        found: FloatArray = extractor.run(None, {"audio": audio})[0]
        return found

    return features


# --- graphs -----------------------------------------------------------------------------------------------------------


class Nodes:
    """The operators and constants of a graph; values are known by name."""

    def __init__(self, prefix: str = "") -> None:
        """Begin; `prefix` keeps the names of a graph inside another apart."""
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self._prefix = prefix

    def add(self, operator: str, inputs: Sequence[str], *, output: str = "", **attributes: Any) -> str:
        """Add an operator with one output, and return its name."""
        name = output or f"{self._prefix}{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [name], **attributes))
        return name

    def constant(self, values: npt.ArrayLike, dtype: npt.DTypeLike = np.float32) -> str:
        """Add a constant."""
        name = f"{self._prefix}constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values, dtype, order="C"), name))
        return name

    def integers(self, *values: int) -> str:
        """Add a list of integers, such as a shape or axes."""
        return self.constant(values, np.int64)

    def integer(self, value: int) -> str:
        """Add one integer."""
        return self.constant(np.array(value), np.int64)


def _audio() -> Any:
    return _value("audio", ["clips", "samples"])


def _value(name: str, shape: Shape) -> Any:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def _save(path: Path, nodes: Nodes, inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
    graph = helper.make_graph(nodes.nodes, "edgewise", list(inputs), list(outputs), nodes.constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPERATORS)], ir_version=FORMAT)
    model.producer_name = "Edgewise"
    onnx.checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString(deterministic=True))


def _session(path: Path) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


# --- features ---------------------------------------------------------------------------------------------------------


def _features(nodes: Nodes, parameters: AudioPreprocessing) -> str:
    """Compute the features of `audio`, as `workers.engine.features` defines them; a short clip begins with silence."""
    length, stride = parameters.window_samples, parameters.stride_samples
    points = parameters.fft_points
    double = {"dtype": np.float64}
    samples = nodes.add("Gather", [nodes.add("Shape", ["audio"]), nodes.integer(1)], axis=0)
    missing = nodes.add("Max", [nodes.add("Sub", [nodes.integer(length), samples]), nodes.integer(0)])
    padding = [nodes.integers(0), nodes.add("Unsqueeze", [missing, nodes.integers(0)]), nodes.integers(0, 0)]
    audio = nodes.add("Cast", ["audio"], to=TensorProto.DOUBLE)
    audio = nodes.add("Pad", [audio, nodes.add("Concat", padding, axis=0)])

    last = nodes.add("Sub", [nodes.add("Add", [samples, missing]), nodes.integer(length - 1)])
    starts = nodes.add("Range", [nodes.integer(0), last, nodes.integer(stride)])
    offsets = nodes.constant(np.arange(length), np.int64)
    positions = nodes.add("Add", [nodes.add("Unsqueeze", [starts, nodes.integers(1)]), offsets])
    windows = nodes.add("Gather", [audio, positions], axis=1)
    windows = nodes.add("Mul", [windows, nodes.constant(hann_window(length), **double)])

    spectrum = nodes.add(
        "DFT", [nodes.add("Unsqueeze", [windows, nodes.integers(3)]), nodes.integer(points)], axis=2, onesided=1
    )
    magnitude = nodes.add("ReduceL2", [spectrum], axes=[3], keepdims=0)
    bands = nodes.add("MatMul", [magnitude, nodes.constant(mel_filters(points // 2 + 1, parameters), **double)])
    features = nodes.add("Log", [nodes.add("Max", [bands, nodes.constant(parameters.log_epsilon, **double)])])
    if count := parameters.dct_num_features:
        transform = nodes.constant(cosine_transform(parameters.mel_num_bins, count), **double)
        features = nodes.add("MatMul", [features, transform])
    return nodes.add("Cast", [features], to=TensorProto.FLOAT)


# --- network ----------------------------------------------------------------------------------------------------------


def _last_logits(nodes: Nodes, network: FoldedNetwork, features: str) -> str:
    """Run all frames, and return the logits after the last one."""
    sizes = [*network.state_shapes, network.labels]
    names = [f"state_{index}" for index in range(len(network.state_shapes))]
    body = Nodes("step_")
    logits, updated = _step(body, network, "frame", names)
    # The logits are carried like a state: only the last ones are wanted.
    carried = [*names, "logits_before"]
    results = [body.add("Identity", [state], output=f"next_{name}") for name, state in zip(names, updated, strict=True)]
    results.append(body.add("Identity", [logits], output="logits_now"))
    graph = helper.make_graph(
        body.nodes,
        "step",
        [*(_value(name, ["clips", size]) for name, size in zip(carried, sizes, strict=True)),
         _value("frame", ["clips", network.features])],
        [_value(name, ["clips", size]) for name, size in zip(results, sizes, strict=True)],
        body.constants,
    )  # fmt: skip
    clips = nodes.add("Slice", [nodes.add("Shape", [features]), nodes.integers(0), nodes.integers(1)])
    zeros = [
        nodes.add("ConstantOfShape", [nodes.add("Concat", [clips, nodes.integers(size)], axis=0)]) for size in sizes
    ]
    outputs = [f"last_{name}" for name in results]
    nodes.nodes.append(
        helper.make_node("Scan", [*zeros, features], outputs, body=graph, num_scan_inputs=1, scan_input_axes=[1])
    )
    return outputs[-1]


def _step(nodes: Nodes, network: FoldedNetwork, frame: str, states: Sequence[str]) -> tuple[str, list[str]]:
    """Compute one frame, as `workers.engine.networks.streaming_step` does."""
    waiting = iter(states)
    phase = next(waiting) if network.period > 1 else None
    updated = [] if phase is None else [_next_phase(nodes, phase, network.period)]
    signal = nodes.add("Mul", [frame, nodes.constant(network.input_scale)])
    signal = nodes.add("Add", [signal, nodes.constant(network.input_offset)])
    stride = 1
    for stage in network.stages:
        before = [next(waiting) for _ in stage.state_sizes]
        after = _next_states(nodes, stage, signal, before)
        if phase is not None and stride > 1:
            rest = nodes.add("Mod", [phase, nodes.constant(stride)], fmod=1)
            due = nodes.add("Equal", [rest, nodes.constant(0)])
            after = [nodes.add("Where", [due, new, old]) for new, old in zip(after, before, strict=True)]
        updated += after
        signal = _output(nodes, stage, signal, after)
        stride *= stage.stride
    return _dense(nodes, signal, network.readout_kernel, network.readout_bias), updated


def _next_states(nodes: Nodes, stage: FoldedStage, signal: str, before: Sequence[str]) -> list[str]:
    if stage.transition is None or stage.column is None:
        return []
    order = len(stage.column)
    coefficients = nodes.add("Reshape", [before[0], nodes.integers(-1, stage.channels, order)])
    kept = nodes.add("MatMul", [coefficients, nodes.constant(stage.transition.T)])
    brought = nodes.add("Mul", [nodes.add("Unsqueeze", [signal, nodes.integers(2)]), nodes.constant(stage.column)])
    memory = nodes.add(
        "Reshape", [nodes.add("Add", [kept, brought]), nodes.integers(-1, stage.channels * order)]
    )  # fmt: skip
    if stage.recurrent_kernel is None:
        return [memory]
    read = _dense(nodes, nodes.add("Concat", [memory, signal], axis=-1), stage.kernel, stage.bias)
    recurrent = nodes.add("MatMul", [before[1], nodes.constant(stage.recurrent_kernel)])
    return [memory, _activated(nodes, stage.activation, nodes.add("Add", [read, recurrent]))]


def _output(nodes: Nodes, stage: FoldedStage, signal: str, states: Sequence[str]) -> str:
    if stage.recurrent_kernel is not None:
        return states[1]
    read = states[0] if states else signal
    if stage.filters is not None:
        channels, order, count = stage.filters.shape
        coefficients = nodes.add("Reshape", [read, nodes.integers(-1, channels, order, 1)])
        products = nodes.add("Mul", [coefficients, nodes.constant(stage.filters)])
        sums = nodes.add("ReduceSum", [products, nodes.integers(2)], keepdims=0)
        read = nodes.add("Reshape", [sums, nodes.integers(-1, channels * count)])
    hidden = _activated(nodes, stage.activation, _dense(nodes, read, stage.kernel, stage.bias))
    if stage.projection_kernel is not None and stage.projection_bias is not None:
        hidden = _dense(nodes, hidden, stage.projection_kernel, stage.projection_bias)
    return nodes.add("Add", [hidden, signal]) if stage.residual else hidden


def _dense(nodes: Nodes, inputs: str, kernel: FloatArray, bias: FloatArray) -> str:
    return nodes.add("Add", [nodes.add("MatMul", [inputs, nodes.constant(kernel)]), nodes.constant(bias)])


def _activated(nodes: Nodes, activation: str, values: str) -> str:
    if activation == "linear":
        return values
    if activation == "swish":
        return nodes.add("Mul", [values, nodes.add("Sigmoid", [values])])
    # Softmax goes along the last axis, as its default is.
    return nodes.add(activation.capitalize(), [values])


def _next_phase(nodes: Nodes, phase: str, period: int) -> str:
    is_last = nodes.add("GreaterOrEqual", [phase, nodes.constant(period - 1)])
    return nodes.add("Where", [is_last, nodes.constant(0), nodes.add("Add", [phase, nodes.constant(1)])])
