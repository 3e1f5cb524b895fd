"""Workers outlive the database server: what fails while it restarts is tried again."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from django.db import InterfaceError, OperationalError, connection
from psycopg2 import errors  # type: ignore[import-untyped]

log = logging.getLogger(__name__)
T = TypeVar("T")
PATIENCE_SECONDS = 120
LACKING = (errors.DiskFull, errors.OutOfMemory, errors.ConfigurationLimitExceeded)
"""Failures of a server without disk or memory: waiting would hide them, where too many connections soon go."""


def retrying(action: Callable[[], T], patience: float = PATIENCE_SECONDS) -> T:
    """Do `action`, again and again with growing pauses while PostgreSQL cannot be reached or refuses for a moment.

    `action` must be a transaction of its own, so that a part of it is never done twice.

    Raises:
        OperationalError: it did not work within `patience` seconds, or the server lacks disk or memory.
    """
    deadline, pause = time.monotonic() + patience, 0.1
    while True:
        try:
            return action()
        except (OperationalError, InterfaceError) as error:
            if time.monotonic() > deadline or isinstance(error.__cause__, LACKING):
                raise
            log.warning("PostgreSQL did not answer as it should, trying again: %s", str(error).partition("\n")[0])
            connection.close()
            time.sleep(pause)
            pause = min(2 * pause, 2)
