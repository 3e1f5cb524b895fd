"""REST: formats and artifacts."""

from __future__ import annotations

import dataclasses
import uuid
from typing import Any, cast

import django_filters
from django.db.models import QuerySet
from django.http import HttpResponse
from django.urls import include, path
from django.utils.cache import get_conditional_response, patch_cache_control
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field
from pydantic import RootModel
from rest_framework import generics, mixins, serializers, status, viewsets
from rest_framework.decorators import action
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter
from rest_framework.views import APIView

from deploy_app import queries, services
from deploy_app.models import Artifact
from edgewise import storage
from edgewise.api.authentication import user_of, workspace_of
from edgewise.api.idempotency import idempotent
from edgewise.api.ranges import ranged
from edgewise.api.requests import RequestSerializer
from edgewise.jobs.models import State
from edgewise.jobs.presentation import snapshot
from edgewise.jobs.services import request_cancel
from edgewise.spec.fields import declared
from edgewise.spec.proof import ProofReport
from runs_app import queries as runs

FOR_EVER_SECONDS = 365 * 24 * 3600
"""A year, which caches take for ever."""


class FormatSerializer(serializers.Serializer[Any]):
    """A format that an artifact can have."""

    name = serializers.CharField()
    title = serializers.CharField()
    description = serializers.CharField()
    why_not_here = serializers.CharField(
        allow_null=True, help_text="Why it cannot be built on this server; null where it can."
    )
    options = serializers.ListField(child=serializers.DictField())


class Formats(APIView):
    """The formats that an artifact can have."""

    @extend_schema(responses=FormatSerializer(many=True))
    def get(self, request: Request) -> Response:
        """Return name, title, description and options of each format, and whether it can be built here."""
        rows = (
            {
                "name": row.name,
                "title": row.title,
                "description": row.description,
                "why_not_here": row.why_not_here(),
                "options": [dataclasses.asdict(option) for option in declared(row.options)],
            }
            for row in services.formats()
        )
        return Response(list(rows))


class ArtifactReport(RootModel[ProofReport | None]):
    """What was proved of an artifact; null until it was checked."""


class ArtifactSerializer(serializers.ModelSerializer[Artifact]):
    """An artifact. `download` is its address, null until it is built; `report` what was proved, null until then."""

    job = serializers.SerializerMethodField()
    download = serializers.SerializerMethodField()
    report = serializers.SerializerMethodField()

    class Meta:
        model = Artifact
        fields = [
            "id", "run", "format", "options", "weights_sha256", "threshold", "smoothing_ms", "size", "sha256",
            "accuracy", "created_at", "job", "download", "report",
        ]  # fmt: skip

    def get_job(self, artifact: Artifact) -> dict[str, Any]:
        """Return where its building stands."""
        return snapshot(artifact)

    def get_download(self, artifact: Artifact) -> str | None:
        """Return the address of the file."""
        return f"/api/v1/artifacts/{artifact.pk}/download" if artifact.state == State.SUCCEEDED else None

    # Its extension for pydantic takes models here, too, which its types do not say.
    @extend_schema_field(cast(Any, ArtifactReport))
    def get_report(self, artifact: Artifact) -> dict[str, Any] | None:
        """Return what was proved of it, as `report.json` in its archive; null until it was checked."""
        return artifact.report


class NewArtifactSerializer(RequestSerializer):
    """What an artifact shall be."""

    format = serializers.CharField()
    options = serializers.DictField(required=False)


class RunArtifacts(generics.ListAPIView[Artifact]):
    """Artifacts of one run."""

    serializer_class = ArtifactSerializer
    queryset = Artifact.objects.none()

    def get_queryset(self) -> QuerySet[Artifact]:
        """Only that run's, if it is the workspace's."""
        return runs.run(workspace_of(self.request), self.kwargs["run_id"]).artifacts.all()

    @extend_schema(request=NewArtifactSerializer, responses={201: ArtifactSerializer, 200: ArtifactSerializer})
    @idempotent
    def post(self, request: Request, run_id: uuid.UUID) -> Response:
        """Build an artifact; 200 where the same input was built before, and its job may have ended already."""
        run = runs.run(workspace_of(request), run_id)
        wanted = NewArtifactSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        known = set(run.artifacts.values_list("pk", flat=True))
        artifact = services.request_artifact(run=run, user=user_of(request), **wanted.validated_data)
        code = status.HTTP_200_OK if artifact.pk in known else status.HTTP_201_CREATED
        return Response(ArtifactSerializer(artifact).data, status=code)


class Archive(JSONRenderer):
    """Lets clients ask for a zip; what goes wrong is answered in JSON all the same."""

    media_type = "application/zip"


class AnyFile(JSONRenderer):
    """Lets clients ask for a file by its own type; what goes wrong is answered in JSON all the same."""

    media_type = "*/*"


class ArtifactFilter(django_filters.FilterSet):  # type: ignore[misc]
    """Which artifacts to list."""

    # No choice among the rows of all workspaces, which would tell which ids there are.
    run = django_filters.UUIDFilter(field_name="run_id")

    class Meta:
        model = Artifact
        fields = ["format", "state"]


class Artifacts(
    mixins.ListModelMixin, mixins.RetrieveModelMixin, mixins.DestroyModelMixin, viewsets.GenericViewSet[Artifact]
):
    """Artifacts of all runs."""

    serializer_class = ArtifactSerializer
    queryset = Artifact.objects.none()
    filterset_class = ArtifactFilter

    def get_queryset(self) -> QuerySet[Artifact]:
        """Only the workspace's."""
        return Artifact.objects.filter(workspace=workspace_of(self.request)).select_related("run__dataset")

    def perform_destroy(self, instance: Artifact) -> None:
        """Delete it with its file."""
        services.delete_artifact(instance)

    @extend_schema(request=None, responses=ArtifactSerializer)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: str) -> Response:
        """Stop building it."""
        artifact = self.get_object()
        request_cancel(artifact)
        artifact.refresh_from_db()
        return Response(ArtifactSerializer(artifact).data)

    @extend_schema(responses={(200, "application/zip"): OpenApiTypes.BINARY})
    @action(detail=True, renderer_classes=[JSONRenderer, Archive])
    def download(self, request: Request, pk: str) -> HttpResponse:
        """Return `artifact.zip`. Its entity tag is the SHA-256; ranges are served."""
        artifact = self.get_object()
        queries.require_built(artifact)
        content = storage.local_path(artifact.file_name, artifact.sha256).read_bytes()
        etag = f'"{artifact.sha256}"'
        response = ranged(request, content, "application/zip", etag)
        response["Content-Disposition"] = 'attachment; filename="artifact.zip"'
        response["ETag"] = etag
        return get_conditional_response(request._request, etag, response=response) or response

    @extend_schema(
        parameters=[OpenApiParameter("name", str, "path", description="As in the archive: `lib/wasm/edgewise.wasm`.")],
        responses={(200, "application/octet-stream"): OpenApiTypes.BINARY},
    )
    @action(detail=True, url_path="files/(?P<name>.+)", url_name="file", renderer_classes=[JSONRenderer, AnyFile])
    def file(self, request: Request, pk: str, name: str) -> HttpResponse:
        """Return one file of the archive. It never changes, so that browsers keep it; ranges are served."""
        found = queries.archived_file(self.get_object(), name)
        response = ranged(request, found.content, found.content_type, found.etag)
        response["ETag"] = found.etag
        patch_cache_control(response, private=True, max_age=FOR_EVER_SECONDS, immutable=True)
        return get_conditional_response(request._request, found.etag, response=response) or response


router = SimpleRouter(trailing_slash=False)
router.register("artifacts", Artifacts, basename="artifact")

urlpatterns = [
    path("", include(router.urls)),
    path("formats", Formats.as_view(), name="formats"),
    path("runs/<uuid:run_id>/artifacts", RunArtifacts.as_view(), name="run-artifacts"),
]
