"""Finding one row, or saying that there is none."""

from __future__ import annotations

import uuid
from typing import TypeVar

from django.db.models import Model, QuerySet

from edgewise.errors import NotFound

M = TypeVar("M", bound=Model)


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
