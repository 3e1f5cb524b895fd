"""Live events of one run: the whole curve first, then what happens."""

from __future__ import annotations

import uuid
from typing import Any

from django.db.models import Max
from django.http import HttpRequest, HttpResponseBase

from edgewise.accounts.models import Workspace
from edgewise.api.live import from_database, live
from edgewise.events.sse import Event, last_event_id, stream
from edgewise.jobs.presentation import snapshot
from runs_app import queries
from runs_app.models import Metric, Run


@live
async def run_events(request: HttpRequest, workspace: Workspace, run_id: uuid.UUID) -> HttpResponseBase:
    """Stream a run's curve, state and log. `Last-Event-ID` names the newest point that the browser has."""
    run = await from_database(queries.run, workspace, run_id)
    after = last_event_id(request)

    async def catch_up() -> list[Event]:
        return await from_database(_past, run, after)

    return stream(f"job:{run.pk}", catch_up)


def as_point(metric: Metric) -> dict[str, Any]:
    """A point of a curve, ready for JSON."""
    return {
        "series": str(metric.series),
        "step": metric.step,
        "loss": metric.loss,
        "accuracy": metric.accuracy,
        "learning_rate": metric.learning_rate,
        "steps_per_second": metric.steps_per_second,
    }


def _past(run: Run, after: int) -> list[Event]:
    events = _since(run, after) if after else _whole_curve(run)
    run.refresh_from_db()
    lines = [_event("log", line.as_dict()) for line in queries.log(run)]
    return [*events, *lines, _event("job", snapshot(run))]


def _whole_curve(run: Run) -> list[Event]:
    curves = queries.curves(run)
    points = [as_point(metric) for metrics in curves.points.values() for metric in metrics]
    return [_event("metrics", points, curves.newest_id)] if points else []


def _since(run: Run, after: int) -> list[Event]:
    # If the run went back to a checkpoint meanwhile, the browser has points that never happened: all beyond those that
    # are still here. A warm-started run has a point at step 0.
    kept = run.metrics.filter(id__lte=after).aggregate(step=Max("step"))["step"]
    rewind = _event("rewind", {"step": -1 if kept is None else kept})
    newer = run.metrics.filter(id__gt=after)
    if newer.count() > 2 * queries.CURVE_POINTS:
        return [_event("rewind", {"step": -1}), *_whole_curve(run)]
    fresh = list(newer.order_by("id"))
    return [rewind, _event("metrics", [as_point(metric) for metric in fresh], fresh[-1].pk)] if fresh else [rewind]


def _event(name: str, data: Any, event_id: int | None = None) -> Event:
    return {"event": name, "id": event_id, "data": data}
