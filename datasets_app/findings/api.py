"""REST resource of findings."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers, status, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from datasets_app import queries
from datasets_app.explorer.api import EditSerializer
from datasets_app.findings.queries import findings, noticed
from datasets_app.findings.services import exclude_found
from datasets_app.models import Finding
from datasets_app.revisions import DataRevision
from edgewise.api.authentication import user_of, workspace_of
from edgewise.api.idempotency import idempotent
from edgewise.api.pagination import NewestFirst
from edgewise.lookup import as_id
from edgewise.spec.quality import FindingCode


class FindingSerializer(serializers.ModelSerializer[Finding]):
    """Something that the check noticed about a clip."""

    settled = serializers.BooleanField(read_only=True, help_text="An edit has dealt with it.")

    class Meta:
        model = Finding
        fields = ["id", "code", "clip", "other", "suggestion", "score", "settled"]


class FoundSerializer(serializers.Serializer[Any]):
    """How much of one kind was found, and what to do about it."""

    code = serializers.CharField(source="kind.code")
    title = serializers.CharField(source="kind.title")
    why = serializers.CharField(source="kind.why")
    what_to_do = serializers.CharField(source="kind.what_to_do")
    clips = serializers.IntegerField()
    open = serializers.IntegerField(help_text="Clips that no edit has dealt with.")
    speakers = serializers.IntegerField()


class ExcludeFoundSerializer(serializers.Serializer[Any]):
    """Which findings shall be dealt with."""

    code = serializers.ChoiceField(choices=[code.value for code in FindingCode])


class FindingFilter(django_filters.FilterSet):  # type: ignore[misc]
    """Which findings to list."""

    settled = django_filters.BooleanFilter()

    class Meta:
        model = Finding
        fields = ["code", "clip"]


class SurestFirst(NewestFirst):
    """Findings in the order of `findings`."""

    ordering = ("-score", "id")  # type: ignore[assignment]


class FindingResource(mixins.ListModelMixin, viewsets.GenericViewSet[Finding]):
    """What the check of one raw data noticed, the surest first, as the workspace's edits have left it."""

    serializer_class = FindingSerializer
    queryset = Finding.objects.none()
    filterset_class = FindingFilter
    pagination_class = SurestFirst

    def get_queryset(self) -> QuerySet[Finding]:
        """Those of the raw data in the address, if the workspace sees it."""
        return findings(self._data())

    @extend_schema(responses=FoundSerializer(many=True))
    @action(detail=False, pagination_class=None, filter_backends=[])
    def counts(self, request: Request, raw_data: str) -> Response:
        """Count the findings of each kind, the gravest first."""
        return Response(FoundSerializer(noticed(self._data()), many=True).data)

    @extend_schema(request=ExcludeFoundSerializer, responses={201: EditSerializer})
    @action(detail=False, methods=["post"], filter_backends=[])
    @idempotent
    def exclude(self, request: Request, raw_data: str) -> Response:
        """Exclude the clips of all open findings of one kind, as one edit that can be undone."""
        wanted = ExcludeFoundSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        edit = exclude_found(data=self._data(), user=user_of(request), code=wanted.validated_data["code"])
        return Response(EditSerializer(edit).data, status=status.HTTP_201_CREATED)

    def _data(self) -> DataRevision:
        workspace = workspace_of(self.request)
        return DataRevision(queries.raw_data(workspace, as_id(self.kwargs["raw_data"])), workspace)
