"""The shape of the repository."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ("requirements.lock", "requirements-dev.lock", "tests/client/requirements.lock")


def test_platform_is_the_standard_librarys() -> None:
    """Our folder `platform/` must not shadow the module `platform`."""
    code = "import platform; print(platform.python_version())"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == sys.version.split()[0]
    assert not (ROOT / "platform" / "__init__.py").exists()


def test_locks_name_no_index() -> None:
    """A lock with an address would bind every installation to one server."""
    for lock in LOCKS:
        assert "://" not in (ROOT / lock).read_text(), lock
