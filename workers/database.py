"""Workers outlive the database server: what fails while it restarts is tried again."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from django.db import InterfaceError, OperationalError, connection

log = logging.getLogger(__name__)
T = TypeVar("T")
PATIENCE_SECONDS = 120


def retrying(action: Callable[[], T], patience: float = PATIENCE_SECONDS) -> T:
    """Do `action`, again and again with growing pauses while PostgreSQL cannot be reached.

    `action` must be a transaction of its own, so that a part of it is never done twice.

    Raises:
        OperationalError: the server did not come back within `patience` seconds.
    """
    deadline, pause = time.monotonic() + patience, 0.1
    while True:
        try:
            return action()
        except (OperationalError, InterfaceError) as error:
            if time.monotonic() > deadline:
                raise
            log.warning("PostgreSQL cannot be reached, trying again: %s", str(error).splitlines()[0])
            connection.close()
            time.sleep(pause)
            pause = min(2 * pause, 2)
