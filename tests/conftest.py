"""What all tests share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings as hypothesis_settings

from tests.installation import Installation, installed

# A busy machine is no fault of an example.
hypothesis_settings.register_profile("edgewise", deadline=None)
hypothesis_settings.load_profile("edgewise")

SHARED_AUDIO = Path(os.environ.get("EDGEWISE_TEST_AUDIO", Path(__file__).resolve().parents[2] / "shared" / "data"))


@pytest.fixture(scope="session")
def shared_audio() -> Path:
    """The folder of real recordings that lies beside a checkout, or that EDGEWISE_TEST_AUDIO names."""
    return SHARED_AUDIO


@pytest.fixture(scope="session")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """An installation that tests share: each looks only at what it has made itself."""
    with installed(tmp_path_factory.mktemp("installation")) as place:
        yield place
