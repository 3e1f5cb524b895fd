"""Trained networks as files."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.unit.engine.test_networks import random_arrays
from tests.unit.engine.tones import LABELS, SAMPLES, TINY, run_parameters
from workers.engine.errors import EngineError
from workers.engine.weights import TrainedNetwork, transfer

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def network() -> TrainedNetwork:
    return TrainedNetwork(TINY, run_parameters().preprocessing, LABELS, SAMPLES, random_arrays(TINY, 0))


def test_a_network_survives_its_file(network: TrainedNetwork, tmp_path: Path) -> None:
    network.save(tmp_path / "a.npz")
    loaded = TrainedNetwork.load(tmp_path / "a.npz")
    assert replace(loaded, arrays={}) == replace(network, arrays={})
    assert loaded.arrays.keys() == network.arrays.keys()
    for name, array in network.arrays.items():
        assert loaded.arrays[name].dtype == np.float32
        assert np.array_equal(loaded.arrays[name], array)


def test_the_same_network_has_the_same_bytes(
    network: TrainedNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = network.to_bytes()
    monkeypatch.setattr("time.time", lambda: 2e9)
    network.save(tmp_path / "a.npz")
    assert TrainedNetwork.load(tmp_path / "a.npz").to_bytes() == content
    assert replace(network, arrays=dict(reversed(network.arrays.items()))).to_bytes() == content


@pytest.mark.parametrize("damage", ["empty", "cut", "changed", "text", "foreign", "missing"])
def test_damaged_files_are_refused(network: TrainedNetwork, tmp_path: Path, damage: str) -> None:
    content, path = network.to_bytes(), tmp_path / "weights.npz"
    middle = len(content) // 2
    if damage == "foreign":
        np.savez(path, header=np.zeros(3))
    elif damage != "missing":
        path.write_bytes(
            {
                "empty": b"",
                "cut": content[:middle],
                "changed": content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
                "text": b"not found",
            }[damage]
        )
    with pytest.raises(EngineError, match=r"The weights weights.npz cannot be read: .+ Train the run again.") as raised:
        TrainedNetwork.load(path)
    assert raised.value.code == "damaged-weights"


def test_any_damaged_byte_is_refused_or_harmless(network: TrainedNetwork, tmp_path: Path) -> None:
    """Bytes that no reader looks at (times, attributes) may change; weights never do unnoticed."""
    content, path = network.to_bytes(), tmp_path / "weights.npz"
    generator = np.random.default_rng(0)
    for at in generator.integers(len(content), size=200):
        path.write_bytes(content[:at] + bytes([content[at] ^ (1 << generator.integers(8))]) + content[at + 1 :])
        try:
            loaded = TrainedNetwork.load(path)
        except EngineError:
            continue
        assert loaded.to_bytes() == content


def test_files_are_read_without_tensorflow(network: TrainedNetwork, tmp_path: Path) -> None:
    path = tmp_path / "weights.npz"
    network.save(path)
    code = (
        "import sys; from pathlib import Path; from workers.engine.weights import TrainedNetwork; "
        "print(TrainedNetwork.load(Path(sys.argv[1])).labels); "
        "assert not {'tensorflow', 'keras', 'django'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)],
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'platform'}"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == str(LABELS)


def test_transfer_keeps_the_readout_of_labels_that_both_have(network: TrainedNetwork) -> None:
    fitted = transfer(network, ("high", "shrill", "<silence>"))
    kernel, bias = fitted.arrays["readout.kernel"], fitted.arrays["readout.bias"]
    before, offset = network.arrays["readout.kernel"], network.arrays["readout.bias"]
    assert np.array_equal(kernel[:, 0], before[:, 3])
    assert np.array_equal(kernel[:, 2], before[:, 0])
    np.testing.assert_allclose(kernel[:, 1], before.mean(axis=1), rtol=1e-6)
    np.testing.assert_allclose(bias, [offset[3], offset.mean(), offset[0]], rtol=1e-6)
    assert (fitted.kept_labels, fitted.new_labels) == (("high", "<silence>"), ("shrill",))
    others = set(fitted.arrays) - {"readout.kernel", "readout.bias"}
    assert all(fitted.arrays[name] is network.arrays[name] for name in others)


def test_transfer_to_the_same_labels_keeps_all(network: TrainedNetwork) -> None:
    fitted = transfer(network, LABELS)
    assert all(np.array_equal(fitted.arrays[name], array) for name, array in network.arrays.items())
    assert fitted.describe() == "All weights are kept."
