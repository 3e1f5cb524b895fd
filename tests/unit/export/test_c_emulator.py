"""The C library on an emulated Cortex-M4F gives the bits that it gives here, and fits a small microcontroller."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.networks import LABELS, random_audio, random_network
from tests.unit.export.test_c_library import written
from workers.export.c.emulator import emulate, why_not
from workers.export.c.host import Spotter, compile_shared

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))

KILOBYTE = 1024


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_the_board_gives_the_same_scores(tmp_path: Path, precision: str) -> None:
    sources = written(random_network("kws-small"), tmp_path, precision)
    audio = np.round(random_audio(2, 9000) * 32767).astype(np.int16)
    emulation = emulate(sources, audio)
    compile_shared(sources, tmp_path / "here.so")
    here = Spotter(tmp_path / "here.so")
    for clip, logits in zip(audio, emulation.logits, strict=True):
        here.reset()
        here.feed(clip)
        assert np.array_equal(here.logits(len(LABELS)), logits)
    if precision == "int8":
        assert emulation.flash_bytes <= 64 * KILOBYTE
        assert emulation.ram_bytes <= 16 * KILOBYTE
    assert 0 < emulation.stack_bytes < 2 * KILOBYTE
    assert emulation.instructions_per_second > 0
