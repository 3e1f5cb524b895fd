"""Pages of maps of clips."""

from __future__ import annotations

import uuid

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render, resolve_url
from django.views.decorators.http import require_GET, require_POST

import datasets_app.queries
from datasets_app.explorer.queries import edit
from datasets_app.models import RawData
from datasets_app.revisions import DataRevision
from edgewise.errors import NotFound
from edgewise.lookup import as_id
from edgewise.web.responses import signed_in, user_of, workspace_of
from runs_app import charts, maps, queries
from runs_app.models import Run

SUSPECTS_SHOWN = 24


@signed_in
@require_GET
def clip_map(request: HttpRequest, raw_data_id: uuid.UUID) -> HttpResponse:
    """Show the map of a run, what stands out on it, and the runs that can draw one."""
    workspace = workspace_of(request)
    raw_data = datasets_app.queries.raw_data(workspace, raw_data_id)
    runs = maps.runs_with_weights(workspace, raw_data)
    run = _chosen(runs, request.GET.get("run", ""))
    found = maps.newest_map(run) if run else None
    points = maps.read_points(found) if found else []
    strange = maps.suspects(points)
    context = {
        "raw_data": raw_data, "runs": runs, "run": run, "map": found, "points": points,
        "suspects": strange[:SUSPECTS_SHOWN], "found": len(strange), "here": _address(raw_data, run),
        "done": edit(DataRevision(raw_data, workspace), as_id(request.GET["done"])) if "done" in request.GET else None,
    }  # fmt: skip
    return render(request, "runs/map.html", context)


@signed_in
@require_POST
def draw(request: HttpRequest, raw_data_id: uuid.UUID) -> HttpResponse:
    """Ask a worker for the map of a run."""
    workspace = workspace_of(request)
    raw_data = datasets_app.queries.raw_data(workspace, raw_data_id)
    run = _chosen(maps.runs_with_weights(workspace, raw_data), request.POST.get("run", ""))
    if run is None:
        raise NotFound("run with weights")
    maps.request_map(run=run, user=user_of(request))
    return redirect(_address(raw_data, run))


@signed_in
@require_GET
def chart(request: HttpRequest, run_id: uuid.UUID) -> HttpResponse:
    """Answer the map as a figure."""
    found = maps.newest_map(queries.run(workspace_of(request), run_id))
    if found is None:
        raise NotFound("map")
    return HttpResponse(charts.map_figure(maps.read_points(found)), content_type="application/json")


def _chosen(runs: list[Run], text: str) -> Run | None:
    """The run that was asked for, or the newest."""
    return next((run for run in runs if str(run.pk) == text), runs[0] if runs and not text else None)


def _address(raw_data: RawData, run: Run | None) -> str:
    return resolve_url("runs:map", raw_data.pk) + (f"?run={run.pk}" if run else "")
