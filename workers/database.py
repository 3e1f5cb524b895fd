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
INSUFFICIENT_RESOURCES, TOO_MANY_CONNECTIONS = "53", "53300"
"""The class of states, and one of it (PostgreSQL's manual, appendix A)."""


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
            if time.monotonic() > deadline or _lacks_resources(error):
                raise
            log.warning("PostgreSQL did not answer as it should, trying again: %s", str(error).partition("\n")[0])
            connection.close()
            time.sleep(pause)
            pause = min(2 * pause, 2)


def _lacks_resources(error: Exception) -> bool:
    """Whether the server has no disk or memory left: waiting would hide it, where too many connections soon go."""
    state = getattr(error.__cause__, "sqlstate", None) or ""
    return state.startswith(INSUFFICIENT_RESOURCES) and state != TOO_MANY_CONNECTIONS
