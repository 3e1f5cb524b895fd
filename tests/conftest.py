"""What all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

SHARED_AUDIO = Path(os.environ.get("EDGEWISE_TEST_AUDIO", Path(__file__).resolve().parents[2] / "shared" / "data"))


@pytest.fixture(scope="session")
def shared_audio() -> Path:
    """The folder of real recordings that lies beside a checkout, or that EDGEWISE_TEST_AUDIO names."""
    return SHARED_AUDIO


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None) -> None:
    """Let several people run the tests on one server: each names a database of their own."""
    from django.conf import settings

    suffix = os.environ.get("EDGEWISE_TEST_SUFFIX", "")
    settings.DATABASES["default"].setdefault("TEST", {})["NAME"] = f"test_edgewise{suffix and '_' + suffix}"
