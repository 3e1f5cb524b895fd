"""Renaming by PATCH, the one edit that rows allow."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request


class RenameSerializer(serializers.Serializer[Any]):
    """The new name."""

    name = serializers.CharField()


def name_in(request: Request) -> str:
    """Read the new name from a request."""
    wanted = RenameSerializer(data=request.data)
    wanted.is_valid(raise_exception=True)
    return str(wanted.validated_data["name"])
