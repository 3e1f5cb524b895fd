"""The rival is the network of the paper, and learns from the same batches."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.unit.engine.tones import run_parameters, tones
from workers.bench import ds_cnn

WEIGHTS = {"kernel", "depthwise_kernel", "bias", "beta"}
"""What is left when batch normalisation is folded into the convolutions: its offsets are their biases."""
LARGEST_ACTIVATIONS = 25 * 5 * 64


def test_it_has_the_size_of_the_paper() -> None:
    model = ds_cnn.build(49, 10, 12)
    weights = sum(int(np.prod(v.shape)) for v in model.variables if v.path.rsplit("/", 1)[-1] in WEIGHTS)
    assert weights == 22_604
    # Table 5 of the paper counts weights, and input and output of the largest layer, of 8 bits each: 38.6 kB.
    assert round((weights + 2 * LARGEST_ACTIVATIONS) / 1000, 1) == 38.6
    assert model.output_shape == (None, 12)


def test_it_learns(tmp_path: Path) -> None:
    data = tones(tmp_path)
    parameters = run_parameters(steps=160, validation_interval=40, window_stride_ms=16)
    model = ds_cnn.train(parameters, data)
    scores = ds_cnn.logits(model, parameters, data, data.test)
    assert scores.shape == (len(data.test), len(data.labels))
    assert np.mean(scores.argmax(axis=1) == data.test.label) > 0.6
