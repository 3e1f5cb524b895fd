"""What pages read: one function for each page, through the workspace, with a constant number of queries."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Prefetch

from datasets_app import report
from datasets_app.explorer.queries import Histogram, histograms
from datasets_app.findings.queries import Noticed, noticed
from datasets_app.models import Dataset, RawData, RawDataQuerySet, SpeechPreview, Split, Upload
from datasets_app.report import ReportPage
from datasets_app.revisions import DataRevision
from datasets_app.services import FEW_CLIPS
from edgewise.accounts.models import Workspace
from edgewise.jobs.models import LogLine
from edgewise.lookup import as_id, one

RUNS_SHOWN = 50


@dataclass(frozen=True)
class LabelBar:
    """The clips of one label in each split, and how wide their bars are."""

    label: str
    counts: dict[str, int]
    total: int
    parts: list[tuple[str, float, float]]
    """Split, left edge and width, in percent of the widest bar."""

    @property
    def is_few(self) -> bool:
        """Whether results on them can hardly be trusted."""
        return self.total < FEW_CLIPS


@dataclass(frozen=True)
class RawDataPage:
    """What the page of one raw data shows."""

    raw_data: RawData
    bars: list[LabelBar]
    histograms: list[Histogram]
    noticed: list[Noticed]
    totals: dict[str, int]
    report: ReportPage
    datasets: list[Dataset]
    log: list[LogLine]


def dataset_list(workspace: Workspace) -> list[RawData]:
    """Raw data as headings, the shared ones first, each with the workspace's datasets as `mine`."""
    return list(_with_datasets(workspace).order_by("-shared", "-created_at"))


def heading(workspace: Workspace, raw_data_id: uuid.UUID) -> RawData:
    """One heading of the list, with its datasets."""
    return one(_with_datasets(workspace).filter(pk=raw_data_id), "raw data")


def raw_data(workspace: Workspace, raw_data_id: uuid.UUID) -> RawData:
    """Raw data that the workspace sees, with its import."""
    return one(RawData.objects.visible_to(workspace).select_related("import_job").filter(pk=raw_data_id), "raw data")


def dataset(workspace: Workspace, dataset_id: uuid.UUID) -> Dataset:
    """One of the workspace's datasets."""
    related = ("workspace", "raw_data__import_job", "noise_source")
    return one(Dataset.objects.filter(workspace=workspace, pk=dataset_id).select_related(*related), "dataset")


def runs_of(dataset: Dataset) -> list[Any]:
    """The newest runs of a dataset, through the relation: the runs' app stands above this one."""
    return list(dataset.runs.order_by("-pk")[:RUNS_SHOWN])


def upload(workspace: Workspace, upload_id: object) -> Upload:
    """One of the workspace's uploads by tus."""
    return one(Upload.objects.filter(workspace=workspace, pk=as_id(upload_id)), "upload")


def speech_preview(workspace: Workspace, preview_id: uuid.UUID) -> SpeechPreview:
    """An example of a synthesis."""
    return one(SpeechPreview.objects.filter(workspace=workspace, pk=preview_id), "example")


def raw_data_page(workspace: Workspace, raw_data_id: uuid.UUID, code: str = "", number: int = 1) -> RawDataPage:
    """Labels, one page of problems (of one kind, where a code is given), and datasets of raw data."""
    row = heading(workspace, raw_data_id)
    data = DataRevision(row, workspace)
    bars = label_bars(data.label_counts().items())
    return RawDataPage(
        raw_data=row,
        bars=bars,
        histograms=histograms(data),
        noticed=noticed(data),
        totals={split: sum(bar.counts.get(split, 0) for bar in bars) for split in Split.values},
        report=report.page(row, code, number),
        datasets=row.mine,  # type: ignore[attr-defined]
        log=list(LogLine.objects.filter(job_id=row.import_job.pk)),
    )


def label_bars(counts: Iterable[tuple[str, dict[str, int]]]) -> list[LabelBar]:
    """Lay out the clips of each label as bars that share one scale."""
    rows = [(label, splits, sum(splits.values())) for label, splits in counts]
    widest = max((total for _, _, total in rows), default=0) or 1
    bars = []
    for label, splits, total in rows:
        parts, left = [], 0.0
        for split in Split.values:
            width = 100 * splits.get(split, 0) / widest
            parts.append((split, round(left, 2), round(width, 2)))
            left += width
        bars.append(LabelBar(label, splits, total, parts))
    return bars


def _with_datasets(workspace: Workspace) -> RawDataQuerySet:
    mine = Dataset.objects.filter(workspace=workspace).annotate(run_count=Count("runs")).order_by("-created_at")
    return (
        RawData.objects.visible_to(workspace)
        .select_related("import_job")
        .annotate(waiting_takes=Count("takes"))
        .prefetch_related(Prefetch("datasets", queryset=mine, to_attr="mine"))
    )
