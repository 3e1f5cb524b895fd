"""REST resources of raw data and datasets."""

from __future__ import annotations

from typing import Any

from django.core.files.storage import default_storage
from django.db.models import QuerySet
from django.http import HttpResponseBase, StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field
from rest_framework import mixins, serializers, status, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter

from datasets_app import queries, report, services, uploads
from datasets_app.changes import changes_since
from datasets_app.explorer.api import EditResource
from datasets_app.explorer.filters import ClipFilter, explored
from datasets_app.findings.api import FindingResource
from datasets_app.models import Clip, Dataset, FileProblem, Finding, RawData
from datasets_app.recording.api import TakeResource
from datasets_app.recording.services import begin_recording
from datasets_app.revisions import DataRevision
from datasets_app.tus import UploadResource
from edgewise.api.authentication import user_of, workspace_of
from edgewise.api.idempotency import idempotent
from edgewise.api.naming import RenameMixin
from edgewise.api.pagination import InOrder
from edgewise.api.ranges import ranged
from edgewise.api.requests import RequestSerializer
from edgewise.api.tables import csv_answer
from edgewise.errors import Invalid
from edgewise.jobs.presentation import snapshot
from edgewise.jobs.services import request_cancel
from edgewise.lookup import as_number
from edgewise.spec.recording import RecordingParameters
from edgewise.spec.synthesis import SynthesisParameters
from edgewise.wav import wav_header

LONGEST_STRETCH_SECONDS = 120
LENGTH_OF_A_STRETCH = f"Samples of the stretch, default to the end; at most {LONGEST_STRETCH_SECONDS} s."
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


@extend_schema_field(SynthesisParameters.model_json_schema())
class SynthesisField(serializers.DictField):
    """What shall be spoken; the service checks it."""


@extend_schema_field(RecordingParameters.model_json_schema())
class RecordingField(serializers.DictField):
    """What shall be recorded; the service checks it."""


class NewRawDataSerializer(serializers.Serializer[Any]):
    """One of: an archive (multipart or uploaded), words to speak or record, an administrator's path or address."""

    name = serializers.CharField(required=False, default="", allow_blank=True)
    file = serializers.FileField(required=False, allow_empty_file=True)
    upload = serializers.UUIDField(required=False, help_text="A complete upload.")
    synthesize = SynthesisField(required=False)
    record = RecordingField(required=False)
    location = serializers.CharField(required=False)


class ClipSerializer(serializers.ModelSerializer[Clip]):
    """A clip as the workspace has edited it."""

    label = serializers.CharField(source="effective_label", read_only=True)  # type: ignore[assignment]
    recorded_label = serializers.CharField(source="label", read_only=True)
    excluded = serializers.BooleanField(read_only=True)
    duration = serializers.FloatField(read_only=True, help_text="Seconds.")
    findings: serializers.SlugRelatedField[Finding] = serializers.SlugRelatedField(
        slug_field="code", many=True, read_only=True, help_text="What the check noticed."
    )

    class Meta:
        model = Clip
        fields = [
            "id", "name", "kind", "label", "recorded_label", "excluded", "speaker", "split", "length", "sample_rate",
            "duration", "peak_dbfs", "rms_dbfs", "findings",
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
        """Queue the import of an archive, of words to synthesize, or of a path or address on the server.

        Raw data that is recorded begins without clips; `…/takes` adds them.
        """
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
        services.require_own(row, user_of(self.request))
        return row


class ClipResource(mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[Clip]):
    """Clips of one raw data."""

    serializer_class = ClipSerializer
    queryset = Clip.objects.none()
    filterset_class = ClipFilter

    def get_queryset(self) -> QuerySet[Clip]:
        """Those of the raw data in the address, if the workspace sees it."""
        workspace = workspace_of(self.request)
        clips = explored(DataRevision(queries.raw_data(workspace, self.kwargs["raw_data"]), workspace))
        return clips.select_related("raw_data").prefetch_related("findings")

    @extend_schema(
        parameters=[
            OpenApiParameter("offset", OpenApiTypes.INT, description="First sample of the stretch, default 0."),
            OpenApiParameter("length", OpenApiTypes.INT, description=LENGTH_OF_A_STRETCH),
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
        fields = [
            "id", "name", "raw_data", "revision", "noise_revision", "parameters", "labels", "counts", "created_at",
        ]  # fmt: skip
        read_only_fields = ["raw_data", "revision", "noise_revision"]


class ClipChangeSerializer(serializers.Serializer[Any]):
    """A clip that is not what it was. A label is null where the clip was, or is, excluded."""

    clip = serializers.UUIDField()
    name = serializers.CharField()
    raw_data = serializers.UUIDField()
    before = serializers.CharField(allow_null=True)
    after = serializers.CharField(allow_null=True)


class ChangesSerializer(serializers.Serializer[Any]):
    """Clips of a dataset that edits have changed since."""

    excluded = serializers.IntegerField()
    relabelled = serializers.IntegerField()
    included = serializers.IntegerField()
    clips = ClipChangeSerializer(many=True)


class NewDatasetSerializer(RequestSerializer):
    """What a new dataset shall be; parameters that are left out are read off the raw data."""

    raw_data = serializers.UUIDField()
    name = serializers.CharField(allow_blank=True)
    parameters = serializers.DictField()


class CountSerializer(serializers.Serializer[Any]):
    """For which dataset clips shall be counted."""

    raw_data = serializers.UUIDField()
    parameters = serializers.DictField()


class DatasetResource(mixins.ListModelMixin, RenameMixin, mixins.DestroyModelMixin, viewsets.GenericViewSet[Dataset]):
    """Datasets of the workspace."""

    serializer_class = DatasetSerializer
    queryset = Dataset.objects.none()
    rename = staticmethod(services.rename_dataset)
    filterset_fields = ["name", "raw_data"]

    def get_queryset(self) -> QuerySet[Dataset]:
        """Only the workspace's own."""
        rows = Dataset.objects.filter(workspace=workspace_of(self.request))
        return rows.select_related("raw_data", "noise_source", "workspace")

    def get_object(self) -> Dataset:
        """Return one of the workspace's datasets, counted as its clips are now."""
        dataset = super().get_object()
        services.refresh_counts([dataset])
        return dataset

    def paginate_queryset(self, queryset: Any) -> Any:
        """Return a page of datasets, counted as their clips are now."""
        page = super().paginate_queryset(queryset)
        services.refresh_counts(page or [])
        return page

    @extend_schema(request=NewDatasetSerializer, responses={201: DatasetSerializer})
    @idempotent
    def create(self, request: Request) -> Response:
        """Make a dataset of raw data."""
        wanted = NewDatasetSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        dataset = services.create_dataset(
            workspace=workspace_of(request),
            user=user_of(request),
            raw_data=queries.raw_data(workspace_of(request), wanted.validated_data["raw_data"]),
            name=wanted.validated_data["name"],
            parameters=wanted.validated_data["parameters"],
        )
        return Response(DatasetSerializer(dataset).data, status=status.HTTP_201_CREATED)

    def perform_destroy(self, instance: Dataset) -> None:
        """Delete a dataset that no run needs."""
        services.delete_dataset(instance)

    @extend_schema(responses=ChangesSerializer)
    @action(detail=True, pagination_class=None, filter_backends=[])
    def changes(self, request: Request, pk: str) -> Response:
        """List the clips that edits have changed since the dataset was made."""
        dataset = self.get_object()
        return Response(ChangesSerializer(changes_since(dataset, dataset)).data)

    @extend_schema(request=CountSerializer, responses={200: dict[str, Any]})
    @action(detail=False, methods=["post"], filter_backends=[])
    def counts(self, request: Request) -> Response:
        """Count the clips that a dataset would hold."""
        wanted = CountSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        workspace = workspace_of(request)
        data = DataRevision(queries.raw_data(workspace, wanted.validated_data["raw_data"]), workspace)
        return Response(services.count_labels(data, wanted.validated_data["parameters"]))


def _begin(request: Request, wanted: dict[str, Any]) -> RawData:
    given = [name for name in ("file", "upload", "synthesize", "record", "location") if name in wanted]
    if len(given) != 1:
        raise Invalid(
            {
                "file": "Send one of: an archive as `file`, a complete `upload`, words to `synthesize` or `record`, "
                "or a `location`."
            }
        )
    common: dict[str, Any] = {"workspace": workspace_of(request), "user": user_of(request)}
    if "file" in wanted:
        file = wanted["file"]
        return services.import_archive(**common, name=wanted["name"], file=file, file_name=file.name or "")
    if "upload" in wanted:
        upload = queries.upload(common["workspace"], wanted["upload"])
        return uploads.import_upload(upload, wanted["name"] or upload.name or services.name_after(upload.file_name))
    if "synthesize" in wanted:
        return services.synthesize(**common, name=wanted["name"], parameters=wanted["synthesize"])
    if "record" in wanted:
        return begin_recording(**common, name=wanted["name"], parameters=wanted["record"])
    return services.import_speech_commands(**common, location=wanted["location"])


def _number(request: Request, name: str, default: int, largest: int) -> int:
    number = as_number(request.query_params.get(name, str(default)))
    if number is None or number > largest:
        raise Invalid({name: f"`{name}` must be a number of samples from 0 to {largest:,}."})
    return number


router = SimpleRouter(trailing_slash=False)
router.register("raw-data", RawDataResource, basename="raw-data")
router.register(rf"raw-data/(?P<raw_data>{UUID})/clips", ClipResource, basename="clip")
router.register(rf"raw-data/(?P<raw_data>{UUID})/takes", TakeResource, basename="take")
router.register(rf"raw-data/(?P<raw_data>{UUID})/edits", EditResource, basename="edit")
router.register(rf"raw-data/(?P<raw_data>{UUID})/findings", FindingResource, basename="finding")
router.register("datasets", DatasetResource, basename="dataset")
router.register("uploads", UploadResource, basename="upload")
urlpatterns = router.urls
