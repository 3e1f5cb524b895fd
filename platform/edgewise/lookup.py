"""Reading what an address names, and finding the row of it or saying that there is none."""

from __future__ import annotations

import uuid
from typing import TypeVar

from django.db.models import Model, QuerySet

from edgewise.errors import NotFound

M = TypeVar("M", bound=Model)
MOST_DIGITS = 18
"""What a `bigint` of the database holds whatever the digits are."""


def one(rows: QuerySet[M], what: str) -> M:
    """Return the first row.

    Raises:
        NotFound: there is no `what`.
    """
    row = rows.first()
    if row is None:
        raise NotFound(what)
    return row


def as_id(text: object) -> uuid.UUID:
    """Read an identifier; what is none becomes the nil UUID, which no row has."""
    try:
        return uuid.UUID(str(text))
    except ValueError:
        return uuid.UUID(int=0)


def as_number(text: str) -> int | None:
    """Read a whole number from 0 that the database can hold; what is none becomes None.

    Python refuses by an error to read thousands of digits, so they are counted first.
    """
    return int(text) if text.isdecimal() and len(text) <= MOST_DIGITS else None
