"""The same steps on every backend, and on several devices, lead to the same weights."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.unit.engine.test_networks import random_arrays
from tests.unit.engine.tones import LABELS
from tests.unit.engine.trial import NETWORK, PARAMETERS, STEPS
from workers.engine.backends.tensorflow import _even_share
from workers.engine.files import encode

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the weights that all begin from."""
    folder = tmp_path_factory.mktemp("trial")
    arrays = random_arrays(NETWORK, 0, PARAMETERS.preprocessing.num_features, len(LABELS))
    (folder / "initial.npz").write_bytes(encode({}, arrays))
    return folder


def trained(folder: Path, backend: str, devices: int) -> dict[str, np.ndarray]:
    """Return what that backend learned on so many devices."""
    environment = {
        **os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'platform'}", "KERAS_BACKEND": backend, "CUDA_VISIBLE_DEVICES": "",
        "JAX_PLATFORMS": "cpu",
    }  # fmt: skip
    command = [sys.executable, "-m", "tests.unit.engine.trial", str(folder), str(devices)]
    subprocess.run(command, env=environment, check=True)
    with np.load(folder / f"{backend}-{devices}.npz") as stored:
        return dict(stored)


@pytest.fixture(scope="module")
def expected(folder: Path) -> dict[str, np.ndarray]:
    """What TensorFlow learns on one device."""
    found = trained(folder, "tensorflow", 1)
    assert len(found["losses"]) == STEPS
    assert found["losses"][-3:].mean() < found["losses"][:3].mean()
    return found


@pytest.mark.parametrize(("backend", "devices"), [("jax", 1), ("tensorflow", 2)])
def test_weights_and_losses_are_the_same(
    folder: Path, expected: dict[str, np.ndarray], backend: str, devices: int
) -> None:
    found = trained(folder, backend, devices)
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, atol=1e-4, err_msg=name)


@pytest.mark.parametrize(("batch", "devices", "used"), [(64, 0, 1), (64, 1, 1), (64, 3, 2), (9, 4, 3), (7, 4, 1)])
def test_devices_share_a_batch_evenly(batch: int, devices: int, used: int) -> None:
    assert _even_share(batch, devices) == used
