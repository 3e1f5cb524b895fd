"""REST resources of projects, networks and runs."""

from __future__ import annotations

import uuid
from typing import Any

import django_filters
from django.db.models import QuerySet
from django.http import HttpResponse, StreamingHttpResponse
from django.urls import path
from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field
from pydantic import RootModel
from rest_framework import mixins, serializers, status, viewsets
from rest_framework.decorators import action
from rest_framework.filters import OrderingFilter
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter
from rest_framework.views import APIView

from datasets_app.api import UUID, ChangesSerializer
from datasets_app.changes import changes_since
from datasets_app.models import Dataset
from edgewise.api.authentication import user_of, workspace_of
from edgewise.api.idempotency import idempotent
from edgewise.api.naming import RenameMixin
from edgewise.api.ranges import ranged
from edgewise.api.requests import RequestSerializer
from edgewise.api.tables import csv_answer
from edgewise.errors import Absent, Invalid, NotFound
from edgewise.jobs.models import LogLine
from edgewise.jobs.presentation import snapshot
from edgewise.lookup import as_id, as_number, one
from edgewise.spec.detection import THRESHOLDS
from edgewise.spec.fields import declared
from edgewise.spec.network import NETWORKS, NetworkSpec
from runs_app import maps, previews, queries, services
from runs_app.costs import CostBreakdown, CostQuery, StagesQuery
from runs_app.live import as_point, run_events
from runs_app.models import ClipMap, Detection, Evaluation, Metric, Prediction, Preview, Project, Run

PARAMETER_TYPES = {"integer": OpenApiTypes.INT, "number": OpenApiTypes.FLOAT, "object": OpenApiTypes.UUID}
LABEL_COLUMNS = ("label", "precision", "recall", "f1", "support")
COLUMNS = ("series", "step", "loss", "accuracy", "learning_rate", "steps_per_second")


class ProjectSerializer(serializers.ModelSerializer[Project]):
    """A project."""

    name = serializers.CharField()

    class Meta:
        model = Project
        fields = ["id", "name", "created_at"]


class ProjectResource(mixins.ListModelMixin, RenameMixin, mixins.DestroyModelMixin, viewsets.GenericViewSet[Project]):
    """Projects of the workspace."""

    serializer_class = ProjectSerializer
    queryset = Project.objects.none()
    rename = staticmethod(services.rename_project)
    filterset_fields = ["name"]

    def get_queryset(self) -> QuerySet[Project]:
        """Only the workspace's own."""
        return Project.objects.filter(workspace=workspace_of(self.request))

    @extend_schema(responses={201: ProjectSerializer})
    @idempotent
    def create(self, request: Request) -> Response:
        """Make a project."""
        wanted = ProjectSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        project = services.create_project(
            workspace=workspace_of(request), user=user_of(request), name=wanted.validated_data["name"]
        )
        return Response(ProjectSerializer(project).data, status=status.HTTP_201_CREATED)

    def perform_destroy(self, instance: Project) -> None:
        """Delete a project with its runs."""
        services.delete_project(instance)


class NamedNetwork(NetworkSpec):
    """A network that can be trained by its name, and its cost."""

    device_cost: CostBreakdown


class NamedNetworks(RootModel[dict[str, NamedNetwork]]):
    """The networks that can be trained by name."""


class Networks(APIView):
    """The networks that can be trained by name."""

    @extend_schema(
        parameters=[
            OpenApiParameter(item.name, PARAMETER_TYPES[item.type], description=item.help)
            for item in declared(CostQuery)
        ],
        responses=NamedNetworks,
    )
    def get(self, request: Request) -> Response:
        """Return each network's stages, defaults and text, and what it costs for a dataset or a number of labels."""
        query = CostQuery.read(request.query_params.dict())
        labels = _labels_of(request, query)
        return Response(
            {
                name: {**spec.model_dump(), "device_cost": query.answer(spec, labels, spec.defaults).model_dump()}
                for name, spec in NETWORKS.items()
            }
        )


class CustomNetworkCost(APIView):
    """What a custom network costs: a question, though one too long for an address, so whoever may read may ask."""

    permission_classes = (IsAuthenticated,)

    @extend_schema(request=StagesQuery, responses=CostBreakdown)
    def post(self, request: Request) -> Response:
        """Return the cost of a list of stages, in total and part by part, without training anything."""
        query = StagesQuery.read(request.data)
        preferred = NETWORKS[services.DEFAULT_NETWORK].defaults
        cost = query.answer(NetworkSpec(stages=query.stages), _labels_of(request, query), preferred)
        return Response(cost.model_dump())


class RunSerializer(serializers.ModelSerializer[Run]):
    """A run and where it stands."""

    job = serializers.SerializerMethodField()
    parameters = serializers.JSONField(read_only=True)
    labels = serializers.ListField(child=serializers.CharField(), read_only=True)

    class Meta:
        model = Run
        fields = [
            "id", "name", "project", "dataset", "revision", "noise_revision", "parameters", "labels",
            "initial_weights", "best_step",
            "best_accuracy", "training_seconds", "weights_sha256", "created_at", "job",
        ]  # fmt: skip
        read_only_fields = fields

    @extend_schema_field(dict[str, Any])
    def get_job(self, run: Run) -> dict[str, Any]:
        """Where it stands."""
        return snapshot(run)


class NewRunSerializer(RequestSerializer):
    """What a new run shall be; parameters that are left out follow from dataset and network."""

    project = serializers.UUIDField()
    dataset = serializers.UUIDField()
    name = serializers.CharField(allow_blank=True)
    parameters = serializers.DictField(required=False, default=dict)
    initial_weights = serializers.UUIDField(required=False, allow_null=True, default=None)
    same_data_as = serializers.UUIDField(
        required=False, allow_null=True, default=None, help_text="A run whose revision of the data shall be used again."
    )


class MetricSerializer(serializers.ModelSerializer[Metric]):
    """A point of a curve."""

    class Meta:
        model = Metric
        fields = ["id", *COLUMNS]


class PointSerializer(serializers.Serializer[Any]):
    """Threshold and smoothing window; what is left out stays as it is."""

    threshold = serializers.FloatField(required=False)
    smoothing_ms = serializers.IntegerField(required=False)


class KeywordErrorsSerializer(serializers.Serializer[Any]):
    """How often a keyword was in the audio, and how often it was missed."""

    keyword = serializers.CharField()
    spoken = serializers.IntegerField()
    missed = serializers.IntegerField()


class OperatingPointSerializer(serializers.Serializer[Any]):
    """An operating point and what was measured at it. `most_per_hour` is not exceeded, with 95 % confidence."""

    threshold = serializers.FloatField(source="point.threshold")
    smoothing_ms = serializers.IntegerField(source="point.smoothing_ms")
    refractory_ms = serializers.FloatField()
    hours = serializers.FloatField()
    false_accepts = serializers.IntegerField()
    false_accepts_per_hour = serializers.FloatField()
    most_per_hour = serializers.FloatField()
    missed = serializers.FloatField()
    keywords = KeywordErrorsSerializer(many=True)


class CurveSerializer(serializers.Serializer[Any]):
    """Errors with one smoothing window. Arrays run over `thresholds`; `misses` holds one count for each keyword."""

    smoothing_ms = serializers.IntegerField()
    false_accepts = serializers.ListField(child=serializers.IntegerField())
    most_per_hour = serializers.ListField(child=serializers.FloatField())
    misses = serializers.ListField(child=serializers.ListField(child=serializers.IntegerField()))


class DetectionSerializer(serializers.ModelSerializer[Detection]):
    """What each operating point costs, measured on long audio of the validation split."""

    thresholds = serializers.SerializerMethodField()
    keywords = serializers.ListField(child=serializers.CharField())
    spoken = serializers.ListField(child=serializers.IntegerField())
    curves = CurveSerializer(many=True)
    suggestion = PointSerializer()

    class Meta:
        model = Detection
        fields = [
            "hours", "keyword_clips", "other_clips", "refractory_ms", "keywords", "spoken", "thresholds", "curves",
            "suggestion",
        ]  # fmt: skip

    def get_thresholds(self, found: Detection) -> list[float]:
        """The thresholds that were measured."""
        return list(THRESHOLDS)


class EvaluationSerializer(serializers.ModelSerializer[Evaluation]):
    """Results on the test split, and the operating point, measured on the validation split."""

    labels = serializers.ListField(source="run.labels", child=serializers.CharField())
    confusion = serializers.JSONField()
    report = serializers.JSONField()
    operating_point = serializers.SerializerMethodField()

    class Meta:
        model = Evaluation
        fields = [
            "clips", "accuracy", "balanced_accuracy", "loss", "labels", "confusion", "report", "operating_point",
            "created_at",
        ]  # fmt: skip

    @extend_schema_field(OperatingPointSerializer(allow_null=True))
    def get_operating_point(self, evaluation: Evaluation) -> Any:
        """What was measured at the chosen operating point; null where nothing was measured."""
        errors = queries.errors(evaluation.run)
        return errors and OperatingPointSerializer(errors).data


class PredictionSerializer(serializers.ModelSerializer[Prediction]):
    """What a run made of one test clip, and where to hear it."""

    audio = serializers.SerializerMethodField()
    scores = serializers.ListField(child=serializers.FloatField())

    class Meta:
        model = Prediction
        fields = ["id", "clip", "label", "predicted", "scores", "audio"]

    @extend_schema_field(OpenApiTypes.URI)
    def get_audio(self, prediction: Prediction) -> str:
        """Address of the audio that was heard."""
        return prediction.audio_address


class ExampleSerializer(serializers.Serializer[Any]):
    """A training example, and where to hear and see it. `clip` is null where the noise was generated."""

    label = serializers.CharField()  # type: ignore[assignment]  # a field of the data, not the text beside one
    clip = serializers.UUIDField(allow_null=True)
    name = serializers.CharField(help_text="Of the clip, in its archive.")
    audio = serializers.CharField()
    picture = serializers.CharField()


class PreviewSerializer(serializers.ModelSerializer[Preview]):
    """Training examples as a run with these parameters hears them, once its job has made them."""

    parameters = serializers.DictField(read_only=True)
    next_step = serializers.IntegerField(read_only=True)
    examples = serializers.SerializerMethodField()
    job = serializers.SerializerMethodField()

    class Meta:
        model = Preview
        fields = [
            "id", "dataset", "revision", "noise_revision", "step", "next_step", "parameters", "examples", "created_at",
            "job",
        ]  # fmt: skip
        read_only_fields = fields

    @extend_schema_field(ExampleSerializer(many=True))
    def get_examples(self, preview: Preview) -> Any:
        """The examples; none until they are made."""
        return ExampleSerializer(previews.examples(preview), many=True).data

    @extend_schema_field(dict[str, Any])
    def get_job(self, preview: Preview) -> dict[str, Any]:
        """Where its making stands."""
        return snapshot(preview)


class NewPreviewSerializer(RequestSerializer):
    """Which examples: the parameters of a run, as `POST /runs` takes them, and one of its steps."""

    parameters = serializers.DictField(required=False, default=dict)
    step = serializers.IntegerField(required=False, default=0)
    same_data_as = serializers.UUIDField(required=False, allow_null=True, default=None)


class MapPointSerializer(serializers.Serializer[Any]):
    """A clip on a map. `around` is the most frequent label of its ten nearest clips; shares are from 0 to 1."""

    clip = serializers.UUIDField()
    name = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]  # a field of the data, not the text beside one
    x = serializers.FloatField()
    y = serializers.FloatField()
    around = serializers.CharField()
    alike = serializers.FloatField(help_text="Share of the nearest clips that have its label.")
    agreed = serializers.FloatField(help_text="Share of the nearest clips that have the label `around`.")
    is_suspect = serializers.BooleanField(help_text="Whether it is probably mislabelled.")
    is_far = serializers.BooleanField(help_text="Whether it lies far from all others.")


class ClipMapSerializer(serializers.ModelSerializer[ClipMap]):
    """The words of a run's raw data in the plane, as labelled now; no points until its job has ended well."""

    points = serializers.SerializerMethodField()
    job = serializers.SerializerMethodField()

    class Meta:
        model = ClipMap
        fields = ["id", "run", "weights_sha256", "clip_count", "points", "created_at", "job"]

    @extend_schema_field(MapPointSerializer(many=True))
    def get_points(self, found: ClipMap) -> Any:
        """The clips."""
        return MapPointSerializer(maps.read_points(found), many=True).data

    @extend_schema_field(dict[str, Any])
    def get_job(self, found: ClipMap) -> dict[str, Any]:
        """Where its drawing stands."""
        return snapshot(found)


class LogLineSerializer(serializers.ModelSerializer[LogLine]):
    """A line of the log."""

    class Meta:
        model = LogLine
        fields = ["id", "attempt", "time", "level", "text"]


class RunFilter(django_filters.FilterSet):  # type: ignore[misc]
    """Which runs to list."""

    search = django_filters.CharFilter(field_name="name", lookup_expr="icontains")
    # No choice among the rows of all workspaces, which would tell which ids there are.
    project = django_filters.UUIDFilter(field_name="project_id")
    dataset = django_filters.UUIDFilter(field_name="dataset_id")

    class Meta:
        model = Run
        fields = ["state", "name"]


class RunResource(mixins.ListModelMixin, RenameMixin, mixins.DestroyModelMixin, viewsets.GenericViewSet[Run]):
    """Runs of the workspace."""

    serializer_class = RunSerializer
    queryset = Run.objects.none()
    rename = staticmethod(services.rename_run)
    filterset_class = RunFilter
    filter_backends = (DjangoFilterBackend, OrderingFilter)
    ordering_fields = ("created_at", "queued_at", "name", "state")
    ordering = "-id"

    def get_queryset(self) -> QuerySet[Run]:
        """Only the workspace's own."""
        return Run.objects.filter(workspace=workspace_of(self.request))

    def _run(self, run_id: uuid.UUID | None) -> Run | None:
        return None if run_id is None else one(self.get_queryset().filter(pk=run_id), "run")

    @extend_schema(request=NewRunSerializer, responses={201: RunSerializer})
    @idempotent
    def create(self, request: Request) -> Response:
        """Make a run and queue it."""
        wanted = NewRunSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        values = wanted.validated_data
        workspace = workspace_of(request)
        run = services.create_run(
            workspace=workspace,
            user=user_of(request),
            project=one(Project.objects.filter(workspace=workspace, pk=values["project"]), "project"),
            dataset=one(Dataset.objects.filter(workspace=workspace, pk=values["dataset"]), "dataset"),
            name=values["name"],
            parameters=values["parameters"],
            initial_weights=self._run(values["initial_weights"]),
            same_data_as=self._run(values["same_data_as"]),
        )
        return Response(RunSerializer(run).data, status=status.HTTP_201_CREATED)

    def perform_destroy(self, instance: Run) -> None:
        """Delete a run that has ended."""
        services.delete_run(instance)

    @extend_schema(request=None, responses=RunSerializer)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: str) -> Response:
        """Stop the run within two seconds."""
        run = self.get_object()
        services.cancel_run(run)
        run.refresh_from_db()
        return Response(RunSerializer(run).data)

    @extend_schema(request=None, responses=RunSerializer)
    @action(detail=True, methods=["post"])
    @idempotent
    def resume(self, request: Request, pk: str) -> Response:
        """Let the run go on from its last checkpoint."""
        run = self.get_object()
        services.resume_run(run)
        return Response(RunSerializer(run).data)

    @extend_schema(responses=ChangesSerializer)
    @action(detail=True, pagination_class=None, filter_backends=[])
    def changes(self, request: Request, pk: str) -> Response:
        """List the clips of the run's data that edits have changed since it was queued."""
        run = one(self.get_queryset().select_related(*queries.DATASET).filter(pk=as_id(pk)), "run")
        return Response(ChangesSerializer(changes_since(run.dataset, run)).data)

    @extend_schema(
        parameters=[
            OpenApiParameter("since", OpenApiTypes.INT, description="Only points with a larger id."),
            OpenApiParameter("format", OpenApiTypes.STR, enum=["json", "csv"]),
        ],
        responses=MetricSerializer(many=True),
    )
    @action(detail=True, pagination_class=None, filter_backends=[])
    def metrics(self, request: Request, pk: str) -> Response | StreamingHttpResponse:
        """List the points of the run's curves, as JSON or CSV."""
        since = as_number(request.query_params.get("since", "0"))
        if since is None:
            raise Invalid({"since": "`since` must be the id of a point."})
        points = self.get_object().metrics.filter(id__gt=since).order_by("id")
        if request.query_params.get("format") == "csv":
            rows = (tuple(as_point(point).values()) for point in points)
            return csv_answer("metrics.csv", [COLUMNS, *rows])
        return Response(MetricSerializer(points, many=True).data)

    @extend_schema(
        parameters=[
            OpenApiParameter("format", OpenApiTypes.STR, enum=["json", "csv"]),
            OpenApiParameter(
                "table",
                OpenApiTypes.STR,
                enum=["confusion", "labels"],
                description="What the CSV holds: the confusion matrix, or precision, recall and F1 by label.",
            ),
        ],
        responses=EvaluationSerializer,
    )
    @action(detail=True, filter_backends=[])
    def results(self, request: Request, pk: str) -> Response | StreamingHttpResponse:
        """Return the results on the test split; as CSV the confusion matrix or the table by label."""
        run = self.get_object()
        evaluation = queries.require_evaluation(run)
        if request.query_params.get("format") == "csv":
            if request.query_params.get("table") == "labels":
                lines = evaluation.report["labels"]
                return csv_answer(
                    "labels.csv", [LABEL_COLUMNS, *([line[name] for name in LABEL_COLUMNS] for line in lines)]
                )
            rows = [[label, *counts] for label, counts in zip(run.labels, evaluation.confusion, strict=True)]
            return csv_answer("confusion.csv", [["label", *run.labels], *rows])
        return Response(EvaluationSerializer(evaluation).data)

    @extend_schema(responses=DetectionSerializer)
    @action(detail=True, pagination_class=None, filter_backends=[])
    def detection(self, request: Request, pk: str) -> Response:
        """Return what each operating point costs."""
        return Response(DetectionSerializer(queries.require_detection(self.get_object())).data)

    @extend_schema(request=PointSerializer, responses=OperatingPointSerializer)
    @action(detail=True, methods=["patch"], url_path="operating-point")
    def operating_point(self, request: Request, pk: str) -> Response:
        """Choose threshold and smoothing. Artifacts that are built from now on carry them."""
        run = self.get_object()
        wanted = PointSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        services.set_operating_point(run, wanted.validated_data)
        return Response(OperatingPointSerializer(queries.errors(run)).data)

    @extend_schema(responses=ClipMapSerializer)
    @action(detail=True, pagination_class=None, filter_backends=[])
    def map(self, request: Request, pk: str) -> Response:
        """Return how the clips of the raw data lie to each other, as the run's network hears them."""
        run = self.get_object()
        found = maps.newest_map(run)
        if found is None:
            raise Absent(f"No map of “{run.name}” was asked for yet.", "POST to this address asks for one.")
        return Response(ClipMapSerializer(found).data)

    @extend_schema(request=None, responses={201: ClipMapSerializer})
    @map.mapping.post
    @idempotent
    def draw_map(self, request: Request, pk: str) -> Response:
        """Ask for a map, which replaces the earlier one."""
        made = maps.request_map(run=self.get_object(), user=user_of(request))
        return Response(ClipMapSerializer(made).data, status=status.HTTP_201_CREATED)

    @extend_schema(
        parameters=[
            OpenApiParameter("label", OpenApiTypes.INT, description="Index of the true label."),
            OpenApiParameter("predicted", OpenApiTypes.INT, description="Index of the label it was taken for."),
        ],
        responses=PredictionSerializer(many=True),
    )
    @action(detail=True, filter_backends=[])
    def predictions(self, request: Request, pk: str) -> Response:
        """List what the run made of each test clip."""
        rows = self.get_object().predictions.select_related("clip")
        for name in ("label", "predicted"):
            if name not in request.query_params:
                continue
            index = as_number(request.query_params[name])
            if index is None:
                raise Invalid({name: f"`{name}` must be the index of a label."})
            rows = rows.filter(**{name: index})
        page: Any = self.paginate_queryset(rows)  # type: ignore[arg-type]
        return self.get_paginated_response(PredictionSerializer(page, many=True).data)

    @extend_schema(responses=LogLineSerializer(many=True))
    @action(detail=True, pagination_class=None, filter_backends=[])
    def log(self, request: Request, pk: str) -> Response:
        """Return the run's log."""
        return Response(LogLineSerializer(LogLine.objects.filter(job_id=self.get_object().pk), many=True).data)


class PreviewResource(mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[Preview]):
    """Training examples of one dataset, to be heard and seen before anything is trained."""

    serializer_class = PreviewSerializer
    queryset = Preview.objects.none()

    def get_queryset(self) -> QuerySet[Preview]:
        """Those of the dataset in the address, if it is the workspace's."""
        return Preview.objects.filter(dataset=self._dataset())

    @extend_schema(request=NewPreviewSerializer, responses={201: PreviewSerializer})
    @idempotent
    def create(self, request: Request, dataset: str) -> Response:
        """Make the first ten examples of a step, as a run with these parameters hears them."""
        wanted = NewPreviewSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        dataset_row, values = self._dataset(), wanted.validated_data
        earlier = values["same_data_as"]
        preview = previews.request_preview(
            dataset=dataset_row,
            user=user_of(request),
            parameters=values["parameters"],
            step=values["step"],
            same_data_as=one(dataset_row.runs.filter(pk=earlier), "run") if earlier else None,
        )
        return Response(PreviewSerializer(preview).data, status=status.HTTP_201_CREATED)

    @extend_schema(responses={(200, "audio/wav"): OpenApiTypes.BINARY, (206, "audio/wav"): OpenApiTypes.BINARY})
    @action(detail=True, url_path=r"examples/(?P<number>\d+)/audio", filter_backends=[])
    def audio(self, request: Request, dataset: str, pk: str, number: str) -> HttpResponse:
        """Play an example, counted from 0, as 16-bit wav; ranges are served."""
        content = previews.audio(self.get_object(), _index(number))
        return ranged(request, content, "audio/wav")

    @extend_schema(responses={(200, "image/png"): OpenApiTypes.BINARY})
    @action(detail=True, url_path=r"examples/(?P<number>\d+)/picture", filter_backends=[])
    def picture(self, request: Request, dataset: str, pk: str, number: str) -> HttpResponse:
        """Return the features of an example, counted from 0, as PNG: time to the right, one pixel for each value."""
        return HttpResponse(previews.picture(self.get_object(), _index(number)), content_type="image/png")

    def _dataset(self) -> Dataset:
        rows = Dataset.objects.filter(workspace=workspace_of(self.request)).select_related("raw_data__import_job")
        return one(rows.filter(pk=self.kwargs["dataset"]), "dataset")


def _index(text: str) -> int:
    index = as_number(text)
    if index is None:
        raise NotFound("example")
    return index


def _labels_of(request: Request, query: CostQuery) -> int:
    if query.dataset is None:
        return query.labels
    dataset = one(Dataset.objects.filter(workspace=workspace_of(request), pk=query.dataset), "dataset")
    return len(dataset.labels)


router = SimpleRouter(trailing_slash=False)
router.register("projects", ProjectResource, basename="project")
router.register("runs", RunResource, basename="run")
router.register(rf"datasets/(?P<dataset>{UUID})/preview", PreviewResource, basename="preview")
urlpatterns = [
    path("networks", Networks.as_view(), name="networks"),
    path("networks/cost", CustomNetworkCost.as_view(), name="network-cost"),
    path("runs/<uuid:run_id>/events", run_events, name="run-events"),
    *router.urls,
]
