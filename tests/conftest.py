"""What all tests share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings as hypothesis_settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling, Scheduling

from edgewise.launcher.testing import KINDS
from tests.installation import Installation, installed

# A busy machine is no fault of an example.
hypothesis_settings.register_profile("edgewise", deadline=None)
hypothesis_settings.load_profile("edgewise")

TESTS = Path(__file__).parent
WITH_INSTALLATION = ("tests/browser", "tests/integration")
"""Folders (not those inside of them) whose tests share an installation."""
SHARED_AUDIO = Path(os.environ.get("EDGEWISE_TEST_AUDIO", Path(__file__).resolve().parents[2] / "shared" / "data"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the browser tests last: Playwright leaves a running event loop in its process."""
    items.sort(key=lambda item: KINDS.index(item.path.relative_to(TESTS).parts[0]))


class ByInstallation(LoadScopeScheduling):
    """Keep in one process what shares an installation, which takes long to start; else the tests of a file."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::")[0]
        folder = file.rpartition("/")[0]
        return folder if folder in WITH_INSTALLATION else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling:
    return ByInstallation(config, log)


@pytest.fixture(scope="session")
def shared_audio() -> Path:
    """The folder of real recordings that lies beside a checkout, or that EDGEWISE_TEST_AUDIO names."""
    return SHARED_AUDIO


@pytest.fixture(scope="session")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """An installation that tests share: each looks only at what it has made itself."""
    with installed(tmp_path_factory.mktemp("installation")) as place:
        yield place
