"""The Try it page: a run's WebAssembly artifact in the browser, at the microphone or on a recording."""

from __future__ import annotations

import uuid
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET

from deploy_app import queries, services
from edgewise.errors import UserError
from edgewise.web.responses import show_or_send, signed_in, user_of, wants_part, workspace_of
from runs_app import queries as runs
from runs_app.models import Run

FORMAT = "c"
OPTIONS = {"precision": "float32", "target": "wasm"}


@signed_in
@show_or_send
def page(request: HttpRequest, run_id: uuid.UUID) -> HttpResponse:
    """Show the page; a POST builds the artifact that it runs."""
    run = runs.run(workspace_of(request), run_id)
    if request.method == "GET":
        return render(request, "deploy/try.html", _context(run))
    try:
        services.request_artifact(run=run, user=user_of(request), format=FORMAT, options=OPTIONS)
    except UserError as error:
        template = "deploy/try_part.html" if wants_part(request) else "deploy/try.html"
        return render(request, template, {**_context(run), "error": error}, status=error.status)
    if wants_part(request):
        return render(request, "deploy/try_part.html", _context(run))
    return redirect("deploy:try", run.pk)


@signed_in
@require_GET
def prepared(request: HttpRequest, run_id: uuid.UUID) -> HttpResponse:
    """Draw how far the building of the artifact is, and what to do with it when it is ready."""
    return render(request, "deploy/try_part.html", _context(runs.run(workspace_of(request), run_id)))


def _context(run: Run) -> dict[str, Any]:
    artifact = services.find_artifact(run, FORMAT, OPTIONS)
    return {
        "run": run, "tab": "try", "artifact": artifact, "log": queries.log(artifact) if artifact else [],
        "why_not": services.why_not_deployable(run), "preprocessing": run.settings.preprocessing,
    }  # fmt: skip
