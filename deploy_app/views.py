"""The Deploy page: choose a format, build, download."""

from __future__ import annotations

import uuid
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from deploy_app import queries, services
from deploy_app.formats import FORMATS
from deploy_app.models import Artifact
from edgewise.errors import UserError
from edgewise.jobs.services import request_cancel
from edgewise.web.forms import ParameterForm, read
from edgewise.web.responses import dialog, go, show_or_send, signed_in, user_of, wants_part, workspace_of
from runs_app import queries as runs
from runs_app.models import Run


@signed_in
@show_or_send
def page(request: HttpRequest, run_id: uuid.UUID) -> HttpResponse:
    """Show formats and artifacts of a run; a POST builds one and downloads it."""
    run = runs.run(workspace_of(request), run_id)
    if request.method == "GET":
        return render(request, "deploy/page.html", _context(run))
    chosen = request.POST.get("format", "")
    try:
        artifact = services.request_artifact(
            run=run, user=user_of(request), format=chosen, options=_options(request, chosen)
        )
    except UserError as error:
        context = {**_context(run), "error": error, "chosen": chosen}
        template = "deploy/build.html" if wants_part(request) else "deploy/page.html"
        return render(request, template, context, status=error.status)
    if wants_part(request):
        return _build(request, artifact)
    return redirect("deploy:page", run.pk)


@signed_in
@require_GET
def build(request: HttpRequest, artifact_id: uuid.UUID) -> HttpResponse:
    """Draw how far the building of an artifact is, and its download when it is ready."""
    return _build(request, queries.artifact(workspace_of(request), artifact_id))


@signed_in
@require_GET
def proof(request: HttpRequest, artifact_id: uuid.UUID) -> HttpResponse:
    """Show what was proved of an artifact, and what it takes on boards."""
    artifact = queries.artifact(workspace_of(request), artifact_id)
    context = {"artifact": artifact, "title": _title(artifact), "proof": artifact.proof}
    return dialog(request, "deploy/proof_dialog.html", context)


@signed_in
@require_POST
def cancel(request: HttpRequest, artifact_id: uuid.UUID) -> HttpResponse:
    """Stop building an artifact."""
    artifact = queries.artifact(workspace_of(request), artifact_id)
    request_cancel(artifact)
    return HttpResponse(status=204) if wants_part(request) else redirect("deploy:page", artifact.run_id)


@signed_in
@show_or_send
def delete(request: HttpRequest, artifact_id: uuid.UUID) -> HttpResponse:
    """Delete an artifact, after saying so."""
    artifact = queries.artifact(workspace_of(request), artifact_id)
    if request.method == "GET":
        return dialog(request, "deploy/delete.html", {"artifact": artifact})
    try:
        services.delete_artifact(artifact)
    except UserError as error:
        return dialog(request, "deploy/delete.html", {"artifact": artifact}, error)
    return go(request, "deploy:page", artifact.run_id)


def _options(request: HttpRequest, format_name: str) -> dict[str, Any]:
    """Take the options of the chosen format; each format's fields bear its name, for all of them are on the page."""
    row = FORMATS.get(format_name)
    return read(row.options, request.POST, prefix=f"{row.name}.") if row else {}


def _context(run: Run, artifact: Artifact | None = None) -> dict[str, Any]:
    """The page with `artifact` above the list of earlier ones; by default the one that is being built."""
    formats, artifacts = list(services.formats()), queries.artifacts(run)
    artifact = artifact or next((row for row in artifacts if row.active), None)
    options = {row.name: ParameterForm(row.options, {}, prefix=f"{row.name}.") for row in formats}
    return {
        "run": run, "tab": "deploy", "formats": formats, "chosen": formats[0].name, "options": options,
        "artifact": artifact, "earlier": [row for row in artifacts if not row.active or row != artifact],
        "titles": {row.pk: _title(row) for row in artifacts},
        "proof": artifact.proof if artifact else None,
        "why_not": services.why_not_deployable(run),
    }  # fmt: skip


def _title(artifact: Artifact) -> str:
    row = FORMATS.get(artifact.format)
    return row.title_with(artifact.options) if row else artifact.format


def _build(request: HttpRequest, artifact: Artifact) -> HttpResponse:
    context = {**_context(artifact.run, artifact), "log": queries.log(artifact)}
    return render(request, "deploy/build.html", context)
