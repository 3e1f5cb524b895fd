"""What pages read: one function for each page, through the workspace, with a constant number of queries."""

from __future__ import annotations

import math
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.contrib.postgres.aggregates import ArrayAgg
from django.db.models import Count, F, Q, Window
from django.db.models.functions import RowNumber
from django.http import QueryDict

from datasets_app.models import Dataset
from edgewise.accounts.models import Workspace
from edgewise.errors import Absent
from edgewise.jobs.models import LogLine, State
from edgewise.lookup import as_id, one
from edgewise.spec.detection import THRESHOLDS, OperatingPoint
from runs_app.models import Detection, Evaluation, Metric, Prediction, Preview, Project, Run, Series

RUNS_OF_A_PROJECT = 10
RUNS_ON_A_PAGE = 200
SPARKLINE_POINTS = 32
CURVE_POINTS = 2000
LOG_LINES = 1000
CLIPS_SHOWN = 60
DATASET = ("dataset__raw_data", "dataset__workspace", "dataset__noise_source")
"""A run's dataset with what its clips are read through."""

ORDERS = {
    "newest": ("Newest first", F("queued_at").desc()),
    "accuracy": ("Most accurate first", F("best_accuracy").desc(nulls_last=True)),
    "name": ("By name", F("name").asc()),
}


@dataclass(frozen=True)
class RunFilter:
    """What the list of runs was asked for."""

    text: str = ""
    state: str = ""
    order: str = "newest"
    project: str = ""
    dataset: str = ""

    @classmethod
    def of(cls, query: QueryDict) -> RunFilter:
        """Read the filter of an address; what it does not know is left out."""
        order, state = query.get("order", ""), query.get("state", "")
        return cls(
            text=query.get("text", "").strip(),
            state=state if state in State.values else "",
            order=order if order in ORDERS else "newest",
            project=_identifier(query.get("project", "")),
            dataset=_identifier(query.get("dataset", "")),
        )

    @property
    def active(self) -> bool:
        """Whether runs are left out."""
        return bool(self.text or self.state or self.project or self.dataset)

    def conditions(self) -> Q:
        """The filter on runs."""
        wanted = Q()
        if self.text:
            wanted &= Q(name__icontains=self.text) | Q(dataset__name__icontains=self.text)
        if self.state:
            wanted &= Q(state=self.state)
        if self.project:
            wanted &= Q(project_id=self.project)
        if self.dataset:
            wanted &= Q(dataset_id=self.dataset)
        return wanted


@dataclass
class ProjectRows:
    """A project with those of its runs that are shown."""

    project: Project
    found: int
    runs: list[Run] = field(default_factory=list)

    @property
    def hidden(self) -> int:
        """Runs that would be too many for the page."""
        return self.found - len(self.runs)


@dataclass(frozen=True)
class Confusion:
    """Clips of one label that were taken for another."""

    label: int
    predicted: int
    spoken: str
    heard: str
    clips: int
    of: int


@dataclass(frozen=True)
class Curves:
    """The curves of a run, thinned, and the id of the newest point that they hold."""

    points: dict[str, list[Metric]]
    newest_id: int


# --- the list ---------------------------------------------------------------------------------------------------------


def run_list(workspace: Workspace, wanted: RunFilter) -> list[ProjectRows]:
    """Projects with their newest runs, each with its validation accuracies as `curve`."""
    conditions = wanted.conditions()
    within = Run.objects.filter(workspace=workspace).filter(conditions)
    counts = dict(within.order_by().values_list("project").annotate(Count("pk")))
    projects = {
        project.pk: ProjectRows(project, counts.get(project.pk, 0))
        for project in Project.objects.filter(workspace=workspace).order_by("-created_at")
        if project.pk in counts or not wanted.active
    }
    _, order = ORDERS[wanted.order]
    limit = RUNS_ON_A_PAGE if wanted.project else RUNS_OF_A_PROJECT
    place = Window(RowNumber(), partition_by=F("project_id"), order_by=[order, F("pk").desc()])
    shown = within.select_related("dataset").annotate(place=place).filter(place__lte=limit).order_by("place")
    runs = list(shown[:RUNS_ON_A_PAGE])
    _add_curves(runs)
    for run in runs:
        projects[run.project_id].runs.append(run)
    return list(projects.values())


def run_row(workspace: Workspace, run_id: uuid.UUID) -> Run:
    """One row of the list."""
    run = one(Run.objects.filter(workspace=workspace, pk=run_id).select_related("dataset"), "run")
    _add_curves([run])
    return run


def _add_curves(runs: Sequence[Run]) -> None:
    curves = dict(
        Metric.objects.filter(run__in=runs, series=Series.VALIDATION)
        .values_list("run")
        .annotate(curve=ArrayAgg("accuracy", order_by="step"))
    )
    for run in runs:
        points = curves.get(run.pk, [])
        every = max(1, math.ceil(len(points) / SPARKLINE_POINTS))
        run.curve = points[::every]  # type: ignore[attr-defined]


# --- a new run --------------------------------------------------------------------------------------------------------


def project(workspace: Workspace, project_id: object) -> Project:
    """One of the workspace's projects."""
    return one(Project.objects.filter(workspace=workspace, pk=as_id(project_id)), "project")


def newest_project(workspace: Workspace) -> Project | None:
    """The workspace's newest project; None where it has none."""
    return Project.objects.filter(workspace=workspace).order_by("-created_at").first()


def preview(workspace: Workspace, dataset_id: uuid.UUID, preview_id: uuid.UUID) -> Preview:
    """Training examples of one of the workspace's datasets."""
    return one(Preview.objects.filter(workspace=workspace, dataset=dataset_id, pk=preview_id), "preview")


def datasets(workspace: Workspace) -> list[Dataset]:
    """Datasets that a run can be trained on, newest first."""
    return list(Dataset.objects.filter(workspace=workspace).select_related("raw_data").order_by("-created_at"))


def find_run(workspace: Workspace, run_id: str) -> Run | None:
    """The workspace's run of that id; None where it has none."""
    if not run_id:
        return None
    return Run.objects.filter(workspace=workspace, pk=as_id(run_id)).select_related(*DATASET).first()


@dataclass(frozen=True)
class NewRun:
    """What the form of a new run holds."""

    dataset_id: str = ""
    """Empty where none is chosen yet."""
    name: str = ""
    weights: str = ""
    """Id of the run whose weights it begins with."""
    values: dict[str, Any] = field(default_factory=dict)
    """Its parameters, as far as they are no defaults."""


def beginning(workspace: Workspace, asked: QueryDict) -> NewRun:
    """What a new run begins with: a copy of the run `from`, the network of `initial_weights`, or nothing."""
    weights, dataset_id = asked.get("initial_weights", ""), asked.get("dataset", "")
    if origin := find_run(workspace, asked.get("from", "")):
        return NewRun(
            dataset_id=dataset_id or str(origin.dataset_id), name=f"{origin.name} copy",
            weights=str(origin.initial_weights_id or ""), values=dict(origin.parameters),
        )  # fmt: skip
    if source := find_run(workspace, weights):
        return NewRun(str(source.dataset_id), weights=weights, values={"network": source.parameters["network"]})
    return NewRun(dataset_id, weights=weights)


# --- a run ------------------------------------------------------------------------------------------------------------


def run(workspace: Workspace, run_id: uuid.UUID) -> Run:
    """A run with all that its header shows."""
    related = ("project", *DATASET, "initial_weights", "evaluation")
    return one(Run.objects.filter(workspace=workspace, pk=run_id).select_related(*related), "run")


def log(row: Run) -> list[LogLine]:
    """The last lines of a run's log, the newest last."""
    return list(LogLine.objects.filter(job_id=row.pk).order_by("-id")[:LOG_LINES])[::-1]


def newest_training_point(row: Run) -> Metric | None:
    """The last point of the training curve."""
    return row.metrics.filter(series=Series.TRAINING).order_by("-step").first()


def curves(row: Run) -> Curves:
    """Both curves with at most 2,000 points each; the last point is always there."""
    # Read first: a point that is written meanwhile is then sent twice rather than never.
    newest = Metric.objects.filter(run=row).order_by("-id").values_list("id", flat=True).first()
    counts = dict(Metric.objects.filter(run=row).values_list("series").annotate(Count("id")))
    place = Window(RowNumber(), partition_by=F("series"), order_by=F("step").desc())
    every = max(1, math.ceil(max(counts.values(), default=0) / CURVE_POINTS))
    rows = Metric.objects.filter(run=row).annotate(place=place).annotate(phase=(F("place") - 1) % every).filter(phase=0)
    points: dict[str, list[Metric]] = {series: [] for series in Series.values}
    for point in sorted(rows, key=lambda point: point.step):
        points[point.series].append(point)
    return Curves(points, newest or 0)


@dataclass(frozen=True)
class Figure:
    """A number of the results with what has to be said about it."""

    title: str
    value: str
    note: str = ""


def require_evaluation(row: Run) -> Evaluation:
    """The results of a run on the test split.

    Raises:
        Absent: there are none.
    """
    found: Evaluation | None = getattr(row, "evaluation", None)
    if found is None:
        raise Absent(f"“{row.name}” has no results yet.", "Let the run end first.")
    return found


def figures(row: Run) -> list[Figure]:
    """The headline numbers, each with its 95 % interval."""
    found = row.evaluation
    intervals = found.report["intervals"]
    return [
        Figure("Accuracy", f"{100 * found.accuracy:.2f}%", _between(intervals.get("accuracy"), 100, ".1f", "%")),
        Figure(
            "Balanced accuracy",
            f"{100 * found.balanced_accuracy:.2f}%",
            _between(intervals.get("balanced_accuracy"), 100, ".1f", "%"),
        ),
        Figure("Loss", f"{found.loss:.4f}", _between(intervals.get("loss"), 1, ".3f", "")),
        Figure("Test clips", f"{found.clips:,}"),
    ]


def finding(row: Run) -> str:
    """What the matrix shows, in one sentence."""
    matrix = row.evaluation.confusion
    wrong = sum(sum(line) for line in matrix) - sum(line[i] for i, line in enumerate(matrix))
    if not wrong:
        return f"All {row.evaluation.clips:,} test clips were heard right"
    return f"{wrong:,} of {row.evaluation.clips:,} test clips were heard wrong"


def _between(interval: Sequence[float] | None, times: float, form: str, unit: str) -> str:
    if not interval:
        return ""
    low, high = interval
    return f"95% interval: {times * low:{form}} – {times * high:{form}}{unit}"


def most_confused(row: Run, count: int = 5) -> list[Confusion]:
    """The pairs of labels that are mixed up most often."""
    matrix = row.evaluation.confusion
    pairs = [
        Confusion(i, j, row.labels[i], row.labels[j], clips, sum(line))
        for i, line in enumerate(matrix)
        for j, clips in enumerate(line)
        if i != j and clips
    ]
    return sorted(pairs, key=lambda pair: -pair.clips)[:count]


def predictions(row: Run, label: int, predicted: int) -> list[Prediction]:
    """Test clips of one cell of the matrix, the surest first."""
    rows = row.predictions.filter(label=label, predicted=predicted).select_related("clip")
    return list(rows.order_by(f"-scores__{predicted}", "pk")[:CLIPS_SHOWN])


# --- detection --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class KeywordErrors:
    """How often a keyword was in the audio, and how often it was missed."""

    keyword: str
    spoken: int
    missed: int

    @property
    def share(self) -> float | None:
        """Missed of spoken; None where it was never spoken."""
        return self.missed / self.spoken if self.spoken else None


@dataclass(frozen=True)
class Errors:
    """What was measured at an operating point."""

    point: OperatingPoint
    refractory_ms: float
    hours: float
    false_accepts: int
    most_per_hour: float
    """Rate that is not exceeded, with 95 % confidence."""
    keywords: list[KeywordErrors]

    @property
    def false_accepts_per_hour(self) -> float:
        """As it was counted."""
        return self.false_accepts / self.hours

    @property
    def missed(self) -> float:
        """Share of all keywords that was missed."""
        return sum(row.missed for row in self.keywords) / sum(row.spoken for row in self.keywords)

    @property
    def sentence(self) -> str:
        """Say it in words."""
        window = f" over {self.point.smoothing_ms} ms" if self.point.smoothing_ms else ""
        return (
            f"At threshold {self.point.threshold:.2f}{window}: {rate(self.false_accepts_per_hour)} false accepts an "
            f"hour, {self.missed:.1%} of keywords missed"
        )


def detection(row: Run) -> Detection | None:
    """What was measured of a run on long audio."""
    return Detection.objects.filter(run=row).first()


def require_detection(row: Run) -> Detection:
    """What was measured of a run on long audio.

    Raises:
        Absent: nothing was.
    """
    found = detection(row)
    if found is None:
        raise Absent(f"No operating points were measured for “{row.name}” yet.", "Let the run end first.")
    return found


def errors(row: Run) -> Errors | None:
    """What was measured at the operating point of a run."""
    found = detection(row)
    return None if found is None else errors_at(found, row.operating_point)


def errors_at(found: Detection, point: OperatingPoint) -> Errors:
    """Look up what was measured at one of the operating points."""
    curve = next(curve for curve in found.curves if curve["smoothing_ms"] == point.smoothing_ms)
    place = THRESHOLDS.index(point.threshold)
    rows = zip(found.keywords, found.spoken, curve["misses"][place], strict=True)
    return Errors(
        point, found.refractory_ms, found.hours, curve["false_accepts"][place], curve["most_per_hour"][place],
        [KeywordErrors(*row) for row in rows],
    )  # fmt: skip


def rate(per_hour: float) -> str:
    """Write a rate with as many digits as mean something: 0, 0.8, 4.8, 120."""
    return "0" if per_hour == 0 else f"{per_hour:.1f}" if per_hour < 10 else f"{per_hour:,.0f}"


# --- helpers ----------------------------------------------------------------------------------------------------------


def _identifier(text: str) -> str:
    found = as_id(text)
    return str(found) if found.int else ""
