"""What the bench of training compares is one network, built twice."""

from __future__ import annotations

import numpy as np
import pytest

from workers.bench import training


@pytest.mark.parametrize("last_only", [False, True])
def test_our_network_computes_what_keras_lmus_does(last_only: bool) -> None:
    ours, theirs = training._our_network(last_only), training._their_network(last_only)
    mine = {tuple(variable.shape): variable for variable in ours.trainable_variables}
    assert len(mine) == len(ours.trainable_variables) == len(theirs.trainable_variables)
    for variable in theirs.trainable_variables:
        mine[tuple(variable.shape)].assign(variable.numpy())
    features = np.random.default_rng(0).standard_normal((3, training.FRAMES, training.CHANNELS)).astype(np.float32)
    assert np.asarray(ours(features)) == pytest.approx(np.asarray(theirs(features)), abs=1e-5)
