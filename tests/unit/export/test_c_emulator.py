"""The C library on emulated microcontrollers gives the bits that it gives here, and fits small ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.networks import random_audio, random_network
from tests.unit.export.test_c_library import frame_by_frame, written
from workers.export.c.emulator import BOARDS, emulate, why_not
from workers.export.c.host import Spotter, compile_shared

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))

KILOBYTE = 1024


@pytest.mark.parametrize(("target", "precision"), [("cortex-m4f", "float32"), *((target, "int8") for target in BOARDS)])
def test_the_board_gives_the_same_features_and_scores(tmp_path: Path, target: str, precision: str) -> None:
    trained = random_network("kws-small")
    sources = written(trained, tmp_path, precision)
    audio = np.round(random_audio(2, 2000) * 32767).astype(np.int16)
    emulation = emulate(sources, audio, target)
    compile_shared(sources, tmp_path / "here.so")
    for clip, features, logits in zip(audio, emulation.features, emulation.logits, strict=True):
        expected_features, expected_logits = frame_by_frame(Spotter(tmp_path / "here.so"), trained, clip)
        assert np.array_equal(features, expected_features)
        assert np.array_equal(logits, expected_logits[-1])
    if precision == "int8":
        assert emulation.flash_bytes <= 64 * KILOBYTE
        assert emulation.ram_bytes <= 16 * KILOBYTE
    assert 0 < emulation.stack_bytes < 2 * KILOBYTE
    assert emulation.instructions_per_second > 0
