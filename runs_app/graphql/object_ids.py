"""Ids of 24 hexadecimal digits, as the client expects them, for rows whose ids have 32.

A row's id is a UUIDv7: its first 24 digits hold the time in milliseconds and 42 random bits, its last 8 digits are
random, too. The first 24 are its ObjectId. A row is found again by the range of ids that begin with them, which the
index of the primary key answers. No ObjectId lets anybody in: each is looked for in the caller's workspace alone.
"""

from __future__ import annotations

import re
import uuid
from typing import NewType, TypeVar

import strawberry
from django.db.models import Model, QuerySet
from strawberry.types.scalar import ScalarDefinition

DIGITS = 24
LEFT_OUT = 32 - DIGITS
PATTERN = re.compile(rf"[0-9a-f]{{{DIGITS}}}")
M = TypeVar("M", bound=Model)

ObjectId = NewType("ObjectId", str)


def object_id(row: Model) -> ObjectId:
    """Return the ObjectId of a row."""
    return ObjectId(row.pk.hex[:DIGITS])


def with_object_id(rows: QuerySet[M], wanted: ObjectId) -> QuerySet[M]:
    """Keep the row of an ObjectId."""
    return rows.filter(pk__range=(uuid.UUID(wanted + LEFT_OUT * "0"), uuid.UUID(wanted + LEFT_OUT * "f")))


def _parsed(value: object) -> ObjectId:
    if not isinstance(value, str) or not PATTERN.fullmatch(value.lower()):
        raise ValueError(f"{str(value)[:40]!r} is no id: an id has {DIGITS} hexadecimal digits.")
    return ObjectId(value.lower())


SCALAR: ScalarDefinition = strawberry.scalar(
    name="ObjectId", description=f"The id of a row: {DIGITS} hexadecimal digits.", serialize=str, parse_value=_parsed
)
