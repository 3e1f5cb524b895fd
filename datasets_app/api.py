"""REST resources of raw data and datasets."""

from __future__ import annotations

from typing import Any

import django_filters
from django.core.files.storage import default_storage
from django.db.models import QuerySet
from django.http import HttpResponseBase, StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import mixins, serializers, status, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter

from datasets_app import report, services
from datasets_app.models import Clip, Dataset, FileProblem, RawData
from edgewise.api.authentication import user_of, workspace_of
from edgewise.api.idempotency import idempotent
from edgewise.api.naming import RenameSerializer, name_in
from edgewise.api.pagination import InOrder
from edgewise.api.ranges import ranged
from edgewise.api.tables import csv_answer
from edgewise.errors import Forbidden, Invalid, NotFound
from edgewise.jobs.presentation import snapshot
from edgewise.jobs.services import request_cancel
from edgewise.wav import wav_header

LONGEST_STRETCH_SECONDS = 120
UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"


class RawDataSerializer(serializers.ModelSerializer[RawData]):
    """Raw data and where its import stands."""

    job = serializers.SerializerMethodField()

    class Meta:
        model = RawData
        fields = [
            "id", "name", "origin", "shared", "synthetic", "clip_count", "noise_count", "problem_count", "seconds",
            "sample_rate", "median_milliseconds", "label_counts", "created_at", "job",
        ]  # fmt: skip

    synthetic = serializers.BooleanField(read_only=True)

    def get_job(self, raw_data: RawData) -> dict[str, Any]:
        """Where its import stands."""
        return snapshot(raw_data.import_job)


class SynthesisSerializer(serializers.Serializer[Any]):
    """What shall be spoken."""

    keywords = serializers.ListField(child=serializers.CharField())
    clips_per_word = serializers.IntegerField(default=services.CLIPS_PER_WORD)
    seed = serializers.IntegerField(default=0, min_value=0)


class NewRawDataSerializer(serializers.Serializer[Any]):
    """An archive (multipart), words to synthesize, or an administrator's path or address: one of the three."""

    name = serializers.CharField(required=False, default="", allow_blank=True)
    file = serializers.FileField(required=False, allow_empty_file=True)
    synthesize = SynthesisSerializer(required=False)
    location = serializers.CharField(required=False)


class ClipSerializer(serializers.ModelSerializer[Clip]):
    """A clip."""

    class Meta:
        model = Clip
        fields = [
            "id", "name", "kind", "label", "speaker", "split", "length", "sample_rate", "peak_dbfs", "rms_dbfs",
        ]  # fmt: skip


class ProblemSerializer(serializers.ModelSerializer[FileProblem]):
    """A file that could not be used."""

    class Meta:
        model = FileProblem
        fields = ["name", "code", "reason", "remedy"]


class ProblemKindSerializer(serializers.Serializer[Any]):
    """Files with the same problem."""

    code = serializers.CharField()
    count = serializers.IntegerField()


class ClipFilter(django_filters.FilterSet):  # type: ignore[misc]
    """Which clips to list."""

    search = django_filters.CharFilter(field_name="name", lookup_expr="icontains")

    class Meta:
        model = Clip
        fields = ["kind", "label", "speaker", "split"]


class RawDataResource(
    mixins.ListModelMixin, mixins.RetrieveModelMixin, mixins.DestroyModelMixin, viewsets.GenericViewSet[RawData]
):
    """Raw data that the workspace sees."""

    serializer_class = RawDataSerializer
    queryset = RawData.objects.none()
    filterset_fields = ["name", "origin", "shared"]

    def get_queryset(self) -> QuerySet[RawData]:
        """The workspace's own, and what is shared with everyone."""
        return RawData.objects.visible_to(workspace_of(self.request)).select_related("import_job")

    @extend_schema(request=NewRawDataSerializer, responses={201: RawDataSerializer})
    @idempotent
    def create(self, request: Request) -> Response:
        """Queue the import of an archive, of words to synthesize, or of a path or address on the server."""
        wanted = NewRawDataSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        row = _begin(request, wanted.validated_data)
        return Response(RawDataSerializer(row).data, status=status.HTTP_201_CREATED)

    def perform_destroy(self, instance: RawData) -> None:
        """Delete raw data that nothing needs."""
        services.delete_raw_data(self._own(instance))

    @extend_schema(request=None, responses=RawDataSerializer)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: str) -> Response:
        """Stop the import."""
        row = self._own(self.get_object())
        request_cancel(row.import_job)
        row.import_job.refresh_from_db()
        return Response(RawDataSerializer(row).data)

    @extend_schema(
        parameters=[
            OpenApiParameter("format", OpenApiTypes.STR, enum=["json", "csv"]),
            OpenApiParameter("code", OpenApiTypes.STR, description="Only problems of this kind."),
        ],
        responses={200: ProblemSerializer(many=True), (200, "text/csv"): OpenApiTypes.STR},
    )
    @action(detail=True, pagination_class=InOrder, filter_backends=[])
    def check(self, request: Request, pk: str) -> Response | StreamingHttpResponse:
        """List the files that could not be used, each with reason and remedy; as CSV all of them."""
        row, code = self.get_object(), request.query_params.get("code", "")
        if request.query_params.get("format") == "csv":
            return csv_answer("check.csv", report.table(row, code))
        pages = InOrder()
        problems = pages.paginate_queryset(report.listed(row, code), request, view=self) or []
        return pages.get_paginated_response(ProblemSerializer(problems, many=True).data)

    @extend_schema(responses=ProblemKindSerializer(many=True))
    @action(detail=True, pagination_class=None, filter_backends=[], url_path="check/summary")
    def check_summary(self, request: Request, pk: str) -> Response:
        """Count the files that could not be used by kind of problem."""
        return Response(ProblemKindSerializer(report.kinds(self.get_object()), many=True).data)

    def _own(self, row: RawData) -> RawData:
        if row.shared and not user_of(self.request).is_staff:
            raise Forbidden("This data is shared with everyone; only administrators change it.")
        return row


class ClipResource(mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[Clip]):
    """Clips of one raw data."""

    serializer_class = ClipSerializer
    queryset = Clip.objects.none()
    filterset_class = ClipFilter

    def get_queryset(self) -> QuerySet[Clip]:
        """Those of the raw data in the address, if the workspace sees it."""
        row = _visible(self.request, self.kwargs["raw_data"])
        return Clip.objects.filter(raw_data=row).select_related("raw_data")

    @extend_schema(
        parameters=[
            OpenApiParameter("offset", OpenApiTypes.INT, description="First sample of the stretch, default 0."),
            OpenApiParameter("length", OpenApiTypes.INT, description="Samples of the stretch, default to the end."),
        ],
        responses={(200, "audio/wav"): OpenApiTypes.BINARY, (206, "audio/wav"): OpenApiTypes.BINARY},
    )
    @action(detail=True, filter_backends=[])
    def audio(self, request: Request, raw_data: str, pk: str) -> HttpResponseBase:
        """Play the clip, or a stretch of it, as wav; ranges are served."""
        clip = self.get_object()
        offset = _number(request, "offset", 0, clip.length)
        longest = min(clip.length - offset, LONGEST_STRETCH_SECONDS * clip.sample_rate)
        length = _number(request, "length", longest, longest)
        with default_storage.open(clip.raw_data.pack) as pack:
            pack.seek(2 * (clip.offset + offset))
            samples = pack.read(2 * length)
        return ranged(request, wav_header(length, clip.sample_rate) + samples, "audio/wav")


class DatasetSerializer(serializers.ModelSerializer[Dataset]):
    """A dataset."""

    labels = serializers.ListField(child=serializers.CharField(), read_only=True)
    parameters = serializers.JSONField(read_only=True)
    counts = serializers.JSONField(read_only=True)

    class Meta:
        model = Dataset
        fields = ["id", "name", "raw_data", "parameters", "labels", "counts", "created_at"]
        read_only_fields = ["raw_data"]


class NewDatasetSerializer(serializers.Serializer[Any]):
    """What a new dataset shall be; parameters that are left out are read off the raw data."""

    raw_data = serializers.UUIDField()
    name = serializers.CharField()
    parameters = serializers.DictField()


class CountSerializer(serializers.Serializer[Any]):
    """For which dataset clips shall be counted."""

    raw_data = serializers.UUIDField()
    parameters = serializers.DictField()


class DatasetResource(
    mixins.ListModelMixin, mixins.RetrieveModelMixin, mixins.DestroyModelMixin, viewsets.GenericViewSet[Dataset]
):
    """Datasets of the workspace."""

    serializer_class = DatasetSerializer
    queryset = Dataset.objects.none()
    filterset_fields = ["name", "raw_data"]

    def get_queryset(self) -> QuerySet[Dataset]:
        """Only the workspace's own."""
        return Dataset.objects.filter(workspace=workspace_of(self.request))

    @extend_schema(request=NewDatasetSerializer, responses={201: DatasetSerializer})
    @idempotent
    def create(self, request: Request) -> Response:
        """Make a dataset of raw data."""
        wanted = NewDatasetSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        dataset = services.create_dataset(
            workspace=workspace_of(request),
            user=user_of(request),
            raw_data=_visible(request, wanted.validated_data["raw_data"]),
            name=wanted.validated_data["name"],
            parameters=wanted.validated_data["parameters"],
        )
        return Response(DatasetSerializer(dataset).data, status=status.HTTP_201_CREATED)

    @extend_schema(request=RenameSerializer, responses=DatasetSerializer)
    def partial_update(self, request: Request, pk: str) -> Response:
        """Rename a dataset."""
        dataset = self.get_object()
        services.rename_dataset(dataset, name_in(request))
        return Response(DatasetSerializer(dataset).data)

    def perform_destroy(self, instance: Dataset) -> None:
        """Delete a dataset that no run needs."""
        services.delete_dataset(instance)

    @extend_schema(request=CountSerializer, responses={200: dict[str, Any]})
    @action(detail=False, methods=["post"], filter_backends=[])
    def counts(self, request: Request) -> Response:
        """Count the clips that a dataset would hold."""
        wanted = CountSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        row = _visible(request, wanted.validated_data["raw_data"])
        return Response(services.count_labels(row, wanted.validated_data["parameters"]))


def _begin(request: Request, wanted: dict[str, Any]) -> RawData:
    given = [name for name in ("file", "synthesize", "location") if name in wanted]
    if len(given) != 1:
        raise Invalid({"file": "Send one of: an archive as `file`, words to `synthesize`, or a `location`."})
    common: dict[str, Any] = {"workspace": workspace_of(request), "user": user_of(request)}
    if "file" in wanted:
        file = wanted["file"]
        return services.import_archive(**common, name=wanted["name"], file=file, file_name=file.name or "")
    if "synthesize" in wanted:
        return services.synthesize(**common, name=wanted["name"], **wanted["synthesize"])
    return services.import_speech_commands(**common, location=wanted["location"])


def _visible(request: Request, raw_data_id: Any) -> RawData:
    rows = RawData.objects.visible_to(workspace_of(request)).select_related("import_job")
    row = rows.filter(pk=raw_data_id).first()
    if row is None:
        raise NotFound("raw data")
    return row


def _number(request: Request, name: str, default: int, largest: int) -> int:
    text = request.query_params.get(name, str(default))
    if not text.isdecimal() or int(text) > largest:
        raise Invalid({name: f"`{name}` must be a number of samples from 0 to {largest:,}."})
    return int(text)


router = SimpleRouter(trailing_slash=False)
router.register("raw-data", RawDataResource, basename="raw-data")
router.register(rf"raw-data/(?P<raw_data>{UUID})/clips", ClipResource, basename="clip")
router.register("datasets", DatasetResource, basename="dataset")
urlpatterns = router.urls
