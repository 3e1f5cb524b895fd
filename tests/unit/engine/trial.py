"""A few steps of training in a process of their own, because a process has one backend for life.

`python -m tests.unit.engine.trial FOLDER [DEVICES]` trains on the tones in FOLDER from the weights in
FOLDER/initial.npz, on so many devices of the CPU, and writes FOLDER/<backend>-<devices>.npz: what it learned, and the
loss of every step.
"""

from __future__ import annotations

import sys
from pathlib import Path

import keras
import numpy as np

from edgewise.spec.network import DenseStage, LMUStage, NetworkSpec, RecurrentLMUStage
from tests.unit.engine.tones import run_parameters, tones
from workers.engine import backends, networks
from workers.engine.batches import BatchSource
from workers.engine.files import decode
from workers.engine.steps import TrainingStep
from workers.engine.training import learning_rate

STEPS = 20
NETWORK = NetworkSpec(
    stages=[
        DenseStage(units=8),
        LMUStage(order=3, theta=4, units=12, projection=8, residual=True, stride=2),
        RecurrentLMUStage(order=3, theta=5, units=8, activation="sigmoid"),
    ]
)
# Each library draws its own random numbers for dropout.
PARAMETERS = run_parameters(network=NETWORK, steps=STEPS, dropout=0)


def backend_of(devices: int) -> backends.Backend:
    """Return the backend that is under trial."""
    if devices == 1:
        return backends.load(PARAMETERS.batch_size)
    import tensorflow as tf

    from workers.engine.backends.tensorflow import TensorFlow

    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * devices)
    return TensorFlow([f"CPU:{index}" for index in range(devices)], PARAMETERS.batch_size)


def main(folder: Path, devices: int) -> None:
    """Train."""
    keras.utils.set_random_seed(0)
    data, backend = tones(folder), backend_of(devices)
    batches = [BatchSource(data, PARAMETERS).batch(step) for step in range(STEPS)]
    _, frames, features = batches[0][0].shape
    with backend.scope():
        model = networks.build(NETWORK, frames, features, len(data.labels))
    averaged = networks.build(NETWORK, frames, features, len(data.labels))
    initial = decode(folder / "initial.npz")[1]
    networks.assign(model, initial)
    networks.assign(averaged, initial)
    step = TrainingStep(PARAMETERS, model, averaged, backend)
    loop = backend.compiled_loop(step, step.variables)
    losses = []
    for number, (clips, labels) in enumerate(batches):
        rates = np.float32([learning_rate(PARAMETERS, number)])
        losses.append(loop(clips[None], labels[None], rates, number, 1)[0])
    logits = backend.compiled_prediction(averaged)(batches[0][0])
    weights = {f"weights.{name}": array for name, array in networks.arrays_of(model).items()}
    averages = {f"average.{name}": array for name, array in networks.arrays_of(averaged).items()}
    name = f"{keras.backend.backend()}-{devices}.npz"
    np.savez(folder / name, losses=np.array(losses), logits=logits, **weights, **averages)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
