"""REST resource of takes: clips that were recorded and wait to become clips of their raw data."""

from __future__ import annotations

from typing import Any

from django.core.files.storage import default_storage
from django.db.models import QuerySet
from django.http import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers, status, viewsets
from rest_framework.decorators import action
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from datasets_app.models import RawData, Take
from datasets_app.recording import services
from edgewise.api.authentication import user_of, workspace_of
from edgewise.api.idempotency import idempotent
from edgewise.api.ranges import ranged
from edgewise.jobs.presentation import snapshot
from edgewise.lookup import one


class TakeSerializer(serializers.ModelSerializer[Take]):
    """A take; the clip that it becomes has the same id."""

    class Meta:
        model = Take
        fields = ["id", "kind", "label", "speaker", "length", "sample_rate", "created_at"]


class NewTakeSerializer(serializers.ModelSerializer[Take]):
    """A recording as wav (mono, 16-bit PCM), what was said, and who said it."""

    file = serializers.FileField(allow_empty_file=True)

    class Meta:
        model = Take
        fields = ["file", "kind", "label", "speaker"]
        extra_kwargs = {"label": {"required": False, "allow_blank": True}}


class JobSerializer(serializers.Serializer[Any]):
    """Where the job stands that makes clips of the takes."""

    job = serializers.JSONField()


class TakeResource(
    mixins.ListModelMixin, mixins.RetrieveModelMixin, mixins.DestroyModelMixin, viewsets.GenericViewSet[Take]
):
    """Takes of raw data that is recorded."""

    serializer_class = TakeSerializer
    parser_classes = [MultiPartParser]
    queryset = Take.objects.none()
    filterset_fields = ["kind", "label", "speaker"]

    def get_queryset(self) -> QuerySet[Take]:
        """Those of the raw data in the address, if it is the workspace's own."""
        return Take.objects.filter(raw_data=self._raw_data()).select_related("raw_data")

    @extend_schema(request={"multipart/form-data": NewTakeSerializer}, responses={201: TakeSerializer})
    @idempotent
    def create(self, request: Request, raw_data: str) -> Response:
        """Store one take; a new word is added to those that are recorded."""
        wanted = NewTakeSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        take = services.add_take(raw_data=self._raw_data(), user=user_of(request), **wanted.validated_data)
        return Response(TakeSerializer(take).data, status=status.HTTP_201_CREATED)

    def perform_destroy(self, instance: Take) -> None:
        """Forget a take."""
        services.delete_take(instance)

    @extend_schema(responses={(200, "audio/wav"): OpenApiTypes.BINARY, (206, "audio/wav"): OpenApiTypes.BINARY})
    @action(detail=True, filter_backends=[])
    def audio(self, request: Request, raw_data: str, pk: str) -> HttpResponseBase:
        """Play the take; ranges are served."""
        with default_storage.open(self.get_object().file_name) as file:
            return ranged(request, file.read(), "audio/wav")

    @extend_schema(request=None, responses={202: JobSerializer})
    @action(detail=False, methods=["post"], filter_backends=[], pagination_class=None)
    def finish(self, request: Request, raw_data: str) -> Response:
        """Queue the making of clips from all takes."""
        row = self._raw_data()
        services.finish(row)
        return Response({"job": snapshot(row.import_job)}, status=status.HTTP_202_ACCEPTED)

    def _raw_data(self) -> RawData:
        rows = RawData.objects.filter(workspace=workspace_of(self.request), pk=self.kwargs["raw_data"])
        return one(rows.select_related("import_job"), "raw data")
