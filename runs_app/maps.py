"""Maps of clips: what lies where, and which clips do not belong where they lie.

A map is made once by a worker; labels are read when it is shown. So a clip that was relabelled is at once judged by its
new label, and so are its neighbours.
"""

from __future__ import annotations

import uuid
from collections import Counter
from dataclasses import dataclass

from django.db import transaction

from datasets_app.models import RawData
from datasets_app.revisions import DataRevision
from edgewise.accounts.models import User, Workspace
from edgewise.errors import Conflict
from edgewise.jobs import services as jobs
from edgewise.jobs.models import ACTIVE
from runs_app.models import ClipMap, Run

ALIKE_AT_MOST = 0.2
AGREED_AT_LEAST = 0.5


@dataclass(frozen=True)
class Point:
    """A clip on a map."""

    clip: uuid.UUID
    name: str
    label: str
    x: float
    y: float
    around: str
    """The most frequent label of its neighbours."""
    alike: float
    """Share of its neighbours that have its label."""
    agreed: float
    """Share of its neighbours that have the label `around`."""
    is_far: bool

    @property
    def is_suspect(self) -> bool:
        """Whether it is probably mislabelled: its neighbours agree on another label."""
        return self.alike <= ALIKE_AT_MOST and self.agreed >= AGREED_AT_LEAST


def request_map(*, run: Run, user: User) -> ClipMap:
    """Ask for a map of the words of a run's raw data; it replaces the earlier ones.

    Raises:
        Conflict: the run has no weights yet.
        QueueFull: too many jobs wait already.
    """
    if not run.weights_sha256:
        raise Conflict(f"“{run.name}” has no weights yet.", "Choose a run that has been validated at least once.")
    with transaction.atomic():
        # Locked, so that two people who ask at once get one map.
        Run.objects.select_for_update().get(pk=run.pk)
        waiting = run.maps.filter(state__in=ACTIVE).first()
        if waiting is not None:
            return waiting
        run.maps.all().delete()
        made = ClipMap.objects.create(workspace=run.workspace, created_by=user, run=run, progress_unit="stages")
        jobs.enqueue(made)
    return made


def runs_with_weights(workspace: Workspace, raw_data: RawData) -> list[Run]:
    """Runs that can draw a map of raw data, newest first."""
    runs = Run.objects.filter(workspace=workspace, dataset__raw_data=raw_data).exclude(weights_sha256="")
    return list(runs.select_related("dataset", "project").order_by("-created_at"))


def newest_map(run: Run) -> ClipMap | None:
    """The map of a run, without its points."""
    return run.maps.defer("points").order_by("-created_at").first()


def read_points(found: ClipMap) -> list[Point]:
    """The clips of a map as labelled now, without those that were excluded meanwhile; none until it is drawn."""
    columns = found.points
    if not columns:
        return []
    rows = DataRevision.of(found.run.dataset).clips().filter(pk__in=columns["clips"], excluded=False)
    known = {str(pk): (name, label) for pk, name, label in rows.values_list("pk", "name", "effective_label")}
    clips: list[str] = columns["clips"]
    points = []
    for clip, x, y, nearest, is_far in zip(
        clips, columns["x"], columns["y"], columns["nearest"], columns["is_far"], strict=True
    ):
        if clip not in known:
            continue
        name, label = known[clip]
        labels = Counter(known[clips[place]][1] for place in nearest if clips[place] in known)
        (around, most), *_ = labels.most_common(1) or [(label, 0)]
        total = labels.total() or 1
        points.append(
            Point(uuid.UUID(clip), name, label, x, y, around, labels[label] / total, most / total, is_far)
        )  # fmt: skip
    return points


def suspects(points: list[Point]) -> list[Point]:
    """The points that are probably mislabelled, the surest first, then those that are far from all others."""
    strange = [point for point in points if point.is_suspect or point.is_far]
    return sorted(strange, key=lambda point: (not point.is_suspect, point.alike - point.agreed, point.name))
