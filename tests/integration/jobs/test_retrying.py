"""What fails while the database server restarts is tried again; what waiting does not mend is told at once."""

from __future__ import annotations

import pytest
from django.db import OperationalError
from psycopg2 import errors  # type: ignore[import-untyped]

from workers.database import retrying


def failing(*causes: Exception) -> list[Exception]:
    """What is left of these failures when an action that meets one after the other has ended."""
    left = list(causes)

    def action() -> None:
        if left:
            raise OperationalError from left.pop(0)

    retrying(action)
    return left


def test_what_passes_is_tried_again() -> None:
    assert failing(errors.AdminShutdown(), errors.TooManyConnections()) == []


@pytest.mark.parametrize("cause", [errors.DiskFull, errors.OutOfMemory])
def test_a_server_without_disk_or_memory_is_not_asked_again(cause: type[Exception]) -> None:
    with pytest.raises(OperationalError):
        failing(cause())
