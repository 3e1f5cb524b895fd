"""The C library as files: fixed sources beside this module, and tables made from a trained network."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgewise.spec.detection import OperatingPoint
from edgewise.spec.run import AudioPreprocessing
from workers.engine.detection import frames_of, keyword_outputs
from workers.engine.features import FloatArray, cosine_transform, hann_window, mel
from workers.engine.weights import TrainedNetwork
from workers.export.c.network import BLOCK, Filters, Layer, Memory, Network, Stage
from workers.export.c.tables import array, number, structure, text

SOURCES = Path(__file__).parent / "sources"
FIXED = (
    "edgewise.h", "edgewise.c", "edgewise_parts.h", "edgewise_math.h", "edgewise_features.c", "edgewise_network.c"
)  # fmt: skip
GENERATED = "/* Made by Edgewise from a trained network. */\n"


def write_sources(folder: Path, network: Network, trained: TrainedNetwork, point: OperatingPoint) -> None:
    """Write all sources of the library into `folder`.

    Args:
        folder: of the sources.
        network: its tables.
        trained: the network that they were made from.
        point: when a keyword counts as detected.
    """
    for name in FIXED:
        (folder / name).write_bytes((SOURCES / name).read_bytes())
    arithmetic = SOURCES / f"edgewise_arithmetic_{network.precision}.h"
    (folder / "edgewise_arithmetic.h").write_bytes(arithmetic.read_bytes())
    (folder / "edgewise_model.h").write_text(model_header(network, trained, point), encoding="ascii")
    (folder / "edgewise_model.c").write_text(model_tables(network, trained), encoding="ascii")


def sizes(folder: Path) -> dict[str, int]:
    """Read back the whole numbers that `edgewise_model.h` in `folder` defines."""
    header = (folder / "edgewise_model.h").read_text(encoding="ascii")
    return {name: int(value) for name, value in re.findall(r"^#define EDGEWISE_(\w+) (\d+)$", header, re.MULTILINE)}


# --- edgewise_model.h -------------------------------------------------------------------------------------------------


def model_header(network: Network, trained: TrainedNetwork, point: OperatingPoint) -> str:
    """Return `edgewise_model.h`: sizes and rates."""
    defined = "\n".join(f"#define EDGEWISE_{name} {value}" for name, value in _sizes(network, trained, point).items())
    kinds = {"value": "int16_t", "weight": "int8_t", "constant": "int16_t"}
    types = "\n".join(
        f"typedef {kind if network.precision == 'int8' else 'float'} edgewise_{name};" for name, kind in kinds.items()
    )
    return f"""\
{GENERATED}#ifndef EDGEWISE_MODEL_H
#define EDGEWISE_MODEL_H

#include <stdint.h>

{"#define EDGEWISE_INT8" if network.precision == "int8" else "#define EDGEWISE_FLOAT32"}
{types}

{defined}

#endif
"""


def _sizes(network: Network, trained: TrainedNetwork, point: OperatingPoint) -> dict[str, str]:
    preprocessing, stages = trained.preprocessing, network.stages
    points = preprocessing.fft_points
    numbers = {
        "SAMPLE_RATE": preprocessing.sample_rate,
        "WINDOW_SAMPLES": preprocessing.window_samples,
        "STRIDE_SAMPLES": preprocessing.stride_samples,
        "FEATURES": preprocessing.num_features,
        "LABELS": len(trained.labels),
        "KEYWORDS": len(keyword_outputs(trained.labels)),
        "THRESHOLD": number(point.threshold),
        "SMOOTHING_FRAMES": frames_of(point.smoothing_ms, preprocessing),
        "REFRACTORY_FRAMES": frames_of(trained.clip_milliseconds, preprocessing),
        "FFT_POINTS": points,
        "FFT_IS_ODD": int(_has_radix_2_pass(points // 2)),
        "BUTTERFLY_TWIDDLES": len(_butterfly_twiddles(points // 2)),
        "MEL_BANDS": preprocessing.mel_num_bins,
        "MEL_BINS": len(_rising(preprocessing)),
        "LOG_EPSILON": number(preprocessing.log_epsilon),
        "CEPSTRAL": int(preprocessing.dct_num_features > 0),
        "STAGES": len(stages),
        "PERIOD": int(np.prod([stage.stride for stage in stages])),
        "STATE_VALUES": sum(stage.state_values for stage in stages),
        "WIDEST_LAYER": max(preprocessing.num_features, *(stage.widest for stage in stages)),
        "WIDEST_READ": max(1, *(stage.gathered_values for stage in stages)),
        "HIGHEST_ORDER": max(stage.memory.order for stage in stages if stage.memory),
        "INPUT_STEPS": number(1 / network.input_scale),
    }
    if network.precision == "float32":
        numbers["BLOCK"] = BLOCK
    return {name: str(value) for name, value in numbers.items()}


# --- edgewise_model.c -------------------------------------------------------------------------------------------------


def model_tables(network: Network, trained: TrainedNetwork) -> str:
    """Return `edgewise_model.c`: labels, constants of the features, and weights."""
    keywords = np.array(keyword_outputs(trained.labels), np.uint16)
    arrays: list[str] = []
    stages: list[str] = []
    for index, stage in enumerate(network.stages):
        arrays += _stage_arrays(f"stage_{index}", stage)
        stages.append(_stage(f"stage_{index}", stage, network.precision == "int8"))
    readout = _layer("readout", network.readout, network.precision == "int8")
    parts = [
        f'{GENERATED}#include "edgewise_parts.h"\n',
        f"const char *const edgewise_labels[] = {{\n{_lines(trained.labels)}\n}};\n",
        array("edgewise_keywords", keywords, static=False),
        *_feature_arrays(trained.preprocessing),
        array("edgewise_input_factor", network.input_factor, static=False),
        array("edgewise_input_offset", network.input_offset, static=False),
        *arrays,
        *_layer_arrays("readout", network.readout),
        "const edgewise_stage edgewise_stages[] = {\n" + ",\n".join(stages) + "\n};\n",
        f"const edgewise_layer edgewise_readout = {readout};\n",
    ]
    return "\n".join(parts)


def _lines(labels: Sequence[str]) -> str:
    # One a line: where lines were filled, spaces and hyphens within a label would be taken for places to break at.
    return ",\n".join(f"    {text(label)}" for label in labels)


def _stage_arrays(name: str, stage: Stage) -> Iterator[str]:
    if stage.memory:
        yield array(f"{name}_transition", stage.memory.transition)
        yield array(f"{name}_column", stage.memory.column)
    if stage.filters:
        yield array(f"{name}_filters", stage.filters.weights)
        if stage.filters.scales is not None:
            yield array(f"{name}_filter_scales", stage.filters.scales)
    yield from _layer_arrays(f"{name}_layer", stage.layer)
    if stage.projection:
        yield from _layer_arrays(f"{name}_projection", stage.projection)


def _layer_arrays(name: str, layer: Layer) -> Iterator[str]:
    yield array(f"{name}_kernel", layer.kernel)
    yield array(f"{name}_bias", layer.bias)
    if layer.sum_scales is not None:
        yield array(f"{name}_sum_scales", layer.sum_scales)


def _stage(name: str, stage: Stage, is_int8: bool) -> str:
    """Initialise an `edgewise_stage`; what it does not have is 0 in C."""
    fields = {"layer": _layer(f"{name}_layer", stage.layer, is_int8)}
    if stage.memory:
        fields["memory"] = _memory(name, stage.memory, is_int8)
    if stage.filters:
        fields["filters"] = _filters(name, stage.filters, is_int8)
    if stage.projection:
        fields["projection"] = _layer(f"{name}_projection", stage.projection, is_int8)
    if is_int8:
        fields["input_scale"] = number(stage.input_scale)
    counts = {
        "channels": stage.channels, "stride": stage.stride, "residual": stage.residual, "recurrent": stage.recurrent
    }  # fmt: skip
    fields |= {field: str(int(value)) for field, value in counts.items()}
    return structure(fields)


def _layer(name: str, layer: Layer, is_int8: bool) -> str:
    fields = {"kernel": f"{name}_kernel", "bias": f"{name}_bias"}
    if is_int8:
        fields |= {"sum_scales": f"{name}_sum_scales", "output_steps": number(1 / layer.output_scale)}
    fields |= {"inputs": str(layer.inputs), "units": str(layer.units)}
    return structure(fields | {"activation": f"EDGEWISE_{layer.activation.upper()}"})


def _memory(name: str, memory: Memory, is_int8: bool) -> str:
    fields = {"transition": f"{name}_transition", "column": f"{name}_column"}
    if is_int8:
        fields["shift"] = str(memory.shift)
    return structure(fields | {"order": str(memory.order)})


def _filters(name: str, filters: Filters, is_int8: bool) -> str:
    fields = {"weights": f"{name}_filters"}
    if is_int8:
        fields["scales"] = f"{name}_filter_scales"
    return structure(fields | {"count": str(filters.count)})


# --- features ---------------------------------------------------------------------------------------------------------


def _feature_arrays(preprocessing: AudioPreprocessing) -> Iterator[str]:
    points = preprocessing.fft_points
    tables = {
        "window": hann_window(preprocessing.window_samples),
        "butterfly_twiddles": _butterfly_twiddles(points // 2),
        "split_twiddles": _split_twiddles(points),
        "rising": _rising(preprocessing),
    }
    if preprocessing.dct_num_features:
        tables["cosines"] = cosine_transform(preprocessing.mel_num_bins, preprocessing.dct_num_features)
    yield array("edgewise_first_bins", _first_bins(preprocessing).astype(np.uint16), static=False)
    for name, values in tables.items():
        yield array(f"edgewise_{name}", values.astype(np.float32), static=False)


def _has_radix_2_pass(points: int) -> bool:
    return points.bit_length() % 2 == 0


def _butterfly_twiddles(points: int) -> FloatArray:
    """Cosines and negative sines of w, w² and w³ for each radix-4 pass of a transform of so many complex numbers."""
    size, passes = 2 if _has_radix_2_pass(points) else 1, []
    while size < points:
        angles = 2 * np.pi * np.arange(size) / (4 * size)
        passes += [wave for power in (1, 2, 3) for wave in (np.cos(power * angles), -np.sin(power * angles))]
        size *= 4
    return np.concatenate(passes)


def _split_twiddles(points: int) -> FloatArray:
    """Cosines and negative sines of the first quarter of a circle in `points` steps, both ends included."""
    angles = 2 * np.pi * np.arange(points // 4 + 1) / points
    return np.concatenate([np.cos(angles), -np.sin(angles)])


def _bins_and_edges(preprocessing: AudioPreprocessing) -> tuple[FloatArray, FloatArray]:
    """Return the mel of all spectral bins below half the sample rate, and the edges of the bands."""
    bins = preprocessing.fft_points // 2
    low, high = mel(preprocessing.mel_lower_edge_hertz), mel(preprocessing.mel_upper_edge_hertz)
    frequencies = np.asarray(mel(np.arange(bins) * preprocessing.sample_rate / (2 * bins)))
    return frequencies, np.linspace(low, high, preprocessing.mel_num_bins + 2)


def _first_bins(preprocessing: AudioPreprocessing) -> npt.NDArray[np.int64]:
    """Number the first spectral bin at or above each edge of the mel bands; the bin at 0 Hz counts for none."""
    frequencies, edges = _bins_and_edges(preprocessing)
    return np.maximum(1, np.searchsorted(frequencies, edges))


def _rising(preprocessing: AudioPreprocessing) -> FloatArray:
    """Weight of each bin between the first and the last edge in the band that rises there."""
    frequencies, edges = _bins_and_edges(preprocessing)
    first = _first_bins(preprocessing)
    bins = np.arange(first[0], first[-1])
    below = np.searchsorted(first, bins, side="right") - 1
    return np.asarray((frequencies[bins] - edges[below]) / (edges[below + 1] - edges[below]))
