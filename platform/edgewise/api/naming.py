"""Renaming by PATCH, the one edit that rows allow, safe from two editors at once."""

from __future__ import annotations

import hashlib
from typing import Any, ClassVar

from django.db import transaction
from django.db.models import Model
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import mixins, serializers
from rest_framework.generics import get_object_or_404
from rest_framework.request import Request
from rest_framework.response import Response

from edgewise.errors import Changed


class RenameSerializer(serializers.Serializer[Any]):
    """The new name."""

    name = serializers.CharField()


IF_MATCH = OpenApiParameter(
    "If-Match", str, OpenApiParameter.HEADER, description="The ETag that was read: refuses to undo another's edit."
)


class RenameMixin(mixins.RetrieveModelMixin):
    """A resource with a name that can be edited.

    Its `ETag` stands for what can be edited, so that a run has the same one while it learns (RFC 9110, section 13.1.1).
    """

    rename: ClassVar[staticmethod[[Any, str], None]]
    """The service that gives a row another name."""

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Return the row, and its ETag."""
        return self._tagged(self.get_object())  # type: ignore[attr-defined]

    @extend_schema(request=RenameSerializer, parameters=[IF_MATCH])
    def partial_update(self, request: Request, pk: str) -> Response:
        """Give it another name."""
        wanted = RenameSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        with transaction.atomic():
            # Locked, so that of two editors with the same ETag one alone writes.
            rows = self.get_queryset().select_for_update(of=("self",))  # type: ignore[attr-defined]
            row = get_object_or_404(rows, pk=pk)
            if not _tags(request) & {"*", etag(row)}:
                raise Changed(str(row))
            self.rename(row, wanted.validated_data["name"])
        return self._tagged(row)

    def _tagged(self, row: Any) -> Response:
        return Response(self.get_serializer(row).data, headers={"ETag": etag(row)})  # type: ignore[attr-defined]


def _tags(request: Request) -> set[str]:
    """The entity tags of which one has to be the row's. A tag becomes weak on its way where answers are compressed."""
    return {tag.strip().removeprefix("W/") for tag in request.headers.get("If-Match", "*").split(",")}


def etag(row: Model) -> str:
    """Return the entity tag of what can be edited of a row."""
    return f'"{hashlib.sha256(f"{row.pk} {row}".encode()).hexdigest()[:32]}"'
