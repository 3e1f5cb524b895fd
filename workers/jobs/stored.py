"""Files of the store, and what people are told where one cannot be read."""

from __future__ import annotations

import errno
from pathlib import Path

from edgewise import storage
from workers.engine.errors import EngineError

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
"""Not the store's fault: the worker, which keeps a copy, says so itself."""


def stored(name: str, sha256: str, what: str) -> Path:
    """Return a local copy of a stored file.

    Raises:
        EngineError: it is missing, or cannot be read; `what` says in words what it is.
    """
    try:
        return storage.local_path(name, sha256)
    except FileNotFoundError as error:
        raise EngineError(
            "file-missing",
            f"{what} is not in the store any more ({name}).",
            "Restore the store from a backup.",
        ) from error
    except OSError as error:
        if error.errno in DISK_FULL:
            raise
        raise EngineError(
            "file-unreadable",
            f"{what} cannot be read from the store: {error}",
            "Press Resume; if it fails again, restore the store from a backup.",
        ) from error
