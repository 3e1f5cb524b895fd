"""Pages of raw data and datasets."""

from __future__ import annotations

import uuid
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_POST

from datasets_app import forms, queries, services, uploads
from datasets_app.changes import changes_since
from datasets_app.findings.queries import noticed
from datasets_app.models import RawData
from datasets_app.revisions import DataRevision, newest_revisions
from edgewise.api.ranges import ranged
from edgewise.errors import Conflict, Forbidden, Invalid, UserError
from edgewise.jobs.services import request_cancel
from edgewise.lookup import as_id, as_number
from edgewise.spec.dataset import DatasetParameters
from edgewise.web.forms import read
from edgewise.web.responses import dialog, go, show_or_send, signed_in, user_of, workspace_of


@signed_in
@require_GET
def dataset_list(request: HttpRequest) -> HttpResponse:
    """List raw data with the datasets made of it."""
    headings = queries.dataset_list(workspace_of(request))
    services.refresh_counts(dataset for raw_data in headings for dataset in raw_data.mine)  # type: ignore[attr-defined]
    return render(request, "datasets/list.html", {"headings": headings})


# --- raw data ---------------------------------------------------------------------------------------------------------


@signed_in
@require_GET
def raw_data_page(request: HttpRequest, raw_data_id: uuid.UUID) -> HttpResponse:
    """Show labels, clips and problems of raw data."""
    code, number = request.GET.get("problem", ""), as_number(request.GET.get("page", ""))
    page = queries.raw_data_page(workspace_of(request), raw_data_id, code, number or 1)
    services.refresh_counts(page.datasets)
    return render(request, "datasets/raw.html", {"page": page})


@signed_in
@require_GET
def raw_data_heading(request: HttpRequest, raw_data_id: uuid.UUID) -> HttpResponse:
    """Draw one heading of the list anew."""
    row = queries.heading(workspace_of(request), raw_data_id)
    services.refresh_counts(row.mine)  # type: ignore[attr-defined]
    return render(request, "datasets/heading.html", {"raw_data": row})


@signed_in
@show_or_send
def upload(request: HttpRequest) -> HttpResponse:
    """Upload an archive of recordings, or import one whose name was taken when it had arrived."""
    name = request.POST.get("name", "")
    asked = request.POST.get("upload") or request.GET.get("upload")
    uploaded = queries.upload(workspace_of(request), asked) if asked else None
    context = {"name": name, "limit": settings.MAX_UPLOAD, "uploaded": uploaded}
    if request.method == "GET":
        return dialog(request, "datasets/upload.html", context)
    file = request.FILES.get("file")
    try:
        if uploaded:
            return _started(request, uploads.import_upload(uploaded, name))
        if file is None:
            raise Invalid({"file": "Choose the archive to upload."})
        row = services.import_archive(
            workspace=workspace_of(request), user=user_of(request), name=name, file=file,
            file_name=file.name or "",
        )  # fmt: skip
    except UserError as error:
        return dialog(request, "datasets/upload.html", context, error)
    return _started(request, row)


@signed_in
@show_or_send
def synthesize(request: HttpRequest) -> HttpResponse:
    """Let the machine speak words."""
    context: dict[str, Any] = {
        "name": request.POST.get("name", "Synthetic speech"),
        "keywords": request.POST.get("keywords", forms.TRY_KEYWORDS),
    }
    if request.method == "GET":
        return dialog(request, "datasets/synthesize.html", {**context, "form": forms.synthesis_form({})})
    values = forms.read_synthesis(request.POST)
    try:
        row = services.synthesize(
            workspace=workspace_of(request), user=user_of(request), name=context["name"], parameters=values
        )
    except UserError as error:
        context |= {"form": forms.synthesis_form(values, error.fields), "near_misses": values.get("near_misses")}
        return dialog(request, "datasets/synthesize.html", context, error)
    return _started(request, row)


@signed_in
@require_POST
def preview_speech(request: HttpRequest) -> HttpResponse:
    """Ask a worker for an example of what the form describes, and for its near misses."""
    # Found anew: the keywords may be others since they were shown.
    values = {**forms.read_synthesis(request.POST), "near_misses": None}
    try:
        preview = services.preview_speech(workspace=workspace_of(request), user=user_of(request), parameters=values)
    except UserError as error:
        return render(request, "datasets/speech_preview.html", {"error": error}, status=error.status)
    return render(request, "datasets/speech_preview.html", {"preview": preview})


@signed_in
@require_GET
def speech_preview(request: HttpRequest, preview_id: uuid.UUID) -> HttpResponse:
    """Draw the example anew."""
    preview = queries.speech_preview(workspace_of(request), preview_id)
    return render(request, "datasets/speech_preview.html", {"preview": preview, "near_misses": preview.near_misses})


@signed_in
@require_GET
def speech_preview_audio(request: HttpRequest, preview_id: uuid.UUID) -> HttpResponse:
    """Play the example."""
    return ranged(request, bytes(queries.speech_preview(workspace_of(request), preview_id).wav), "audio/wav")


@signed_in
@show_or_send
def import_speech_commands(request: HttpRequest) -> HttpResponse:
    """Import the original data for everyone: an administrator's button."""
    if not user_of(request).is_staff:
        raise Forbidden("Only administrators import data for everyone.", "Ask one, or upload data of your own.")
    context = {"location": request.POST.get("location", "")}
    if request.method == "GET":
        return dialog(request, "datasets/import.html", context)
    try:
        row = services.import_speech_commands(
            workspace=workspace_of(request), user=user_of(request), location=context["location"].strip()
        )
    except UserError as error:
        return dialog(request, "datasets/import.html", context, error)
    return _started(request, row)


@signed_in
@require_POST
def cancel_import(request: HttpRequest, raw_data_id: uuid.UUID) -> HttpResponse:
    """Stop an import."""
    row = _own(request, raw_data_id)
    request_cancel(row.import_job)
    return go(request, "datasets:list")


@signed_in
@show_or_send
def delete_raw_data(request: HttpRequest, raw_data_id: uuid.UUID) -> HttpResponse:
    """Delete raw data with its clips, after saying so."""
    row = _own(request, raw_data_id)
    if request.method == "GET":
        return dialog(request, "datasets/delete_raw.html", {"raw_data": row})
    try:
        services.delete_raw_data(row)
    except UserError as error:
        return dialog(request, "datasets/delete_raw.html", {"raw_data": row}, error)
    messages.success(request, f"“{row.name}” was deleted.")
    return go(request, "datasets:list")


# --- datasets ---------------------------------------------------------------------------------------------------------


@signed_in
@show_or_send
def new_dataset(request: HttpRequest, raw_data_id: uuid.UUID) -> HttpResponse:
    """Make a dataset of raw data."""
    row = _ready(request, raw_data_id)
    workspace = workspace_of(request)
    data = DataRevision(row, workspace)
    prefilled = services.prefill(row)
    read_off: dict[str, Any] = {
        "defaults": prefilled["parameters"], "noise_sources": services.noise_sources(workspace).exclude(pk=row.pk),
    }  # fmt: skip
    context: dict[str, Any] = {"raw_data": row, "words": forms.words(data), "read_from": prefilled["read_from"]}
    context["noticed"] = [found for found in noticed(data) if found.open]
    if request.method == "GET":
        name, values = _start_from(request)
        form = forms.dataset_form(values, **read_off)
        return dialog(request, "datasets/new.html", {**context, "name": name, "form": form, **_counts(data, values)})
    name, values = request.POST.get("name", ""), read(DatasetParameters, request.POST)
    try:
        dataset = services.create_dataset(
            workspace=workspace, user=user_of(request), raw_data=row, name=name, parameters=values
        )
    except UserError as error:
        form = forms.dataset_form(values, **read_off, errors=error.fields)
        context |= {"name": name, "form": form, **_counts(data, values)}
        return dialog(request, "datasets/new.html", context, error)
    messages.success(
        request,
        f"The dataset “{dataset.name}” is ready. Open it to hear examples, or train a network on it under Runs.",
    )
    return go(request, "datasets:list")


@signed_in
@require_GET
def dataset_page(request: HttpRequest, dataset_id: uuid.UUID) -> HttpResponse:
    """Show what a dataset is made of, what it gives, and what was trained on it."""
    dataset = queries.dataset(workspace_of(request), dataset_id)
    services.refresh_counts([dataset])
    data = DataRevision(dataset.raw_data, dataset.workspace)
    context = {
        "dataset": dataset,
        "form": forms.dataset_form(dataset.parameters, noise_sources=filter(None, [dataset.noise_source])),
        "bars": queries.label_bars(dataset.counts),
        "warnings": services.warnings_about(data, dataset.recipe, dataset.counts),
        "changes": changes_since(dataset, dataset),
        "runs": queries.runs_of(dataset),
        "now": newest_revisions(dataset),
    }
    return render(request, "datasets/detail.html", context)


@signed_in
@require_POST
def label_counts(request: HttpRequest, raw_data_id: uuid.UUID) -> HttpResponse:
    """Draw the labels of a dataset that is being configured, with the clips of each."""
    row = _ready(request, raw_data_id)
    counts = _counts(DataRevision(row, workspace_of(request)), read(DatasetParameters, request.POST))
    return render(request, "datasets/counts.html", {"raw_data": row, **counts})


@signed_in
@show_or_send
def rename_dataset(request: HttpRequest, dataset_id: uuid.UUID) -> HttpResponse:
    """Give a dataset another name."""
    dataset = queries.dataset(workspace_of(request), dataset_id)
    context = {"title": "Rename dataset", "name": request.POST.get("name", dataset.name)}
    if request.method == "GET":
        return dialog(request, "components/rename.html", context)
    try:
        services.rename_dataset(dataset, context["name"])
    except UserError as error:
        return dialog(request, "components/rename.html", context, error)
    return go(request, "datasets:list")


@signed_in
@show_or_send
def delete_dataset(request: HttpRequest, dataset_id: uuid.UUID) -> HttpResponse:
    """Delete a dataset, after saying so."""
    dataset = queries.dataset(workspace_of(request), dataset_id)
    if request.method == "GET":
        return dialog(request, "datasets/delete.html", {"dataset": dataset})
    try:
        services.delete_dataset(dataset)
    except UserError as error:
        return dialog(request, "datasets/delete.html", {"dataset": dataset}, error)
    messages.success(request, f"The dataset “{dataset.name}” was deleted.")
    return go(request, "datasets:list")


# --- helpers ----------------------------------------------------------------------------------------------------------


def _started(request: HttpRequest, row: RawData) -> HttpResponse:
    messages.success(request, f"“{row.name}” is being imported. This page shows how far it is.")
    return go(request, "datasets:list")


def _own(request: HttpRequest, raw_data_id: uuid.UUID) -> RawData:
    row = queries.raw_data(workspace_of(request), raw_data_id)
    services.require_own(row, user_of(request))
    return row


def _ready(request: HttpRequest, raw_data_id: uuid.UUID) -> RawData:
    row = queries.raw_data(workspace_of(request), raw_data_id)
    if not row.ready:
        raise Conflict("This data is not imported yet.", "Wait until its import has ended.")
    return row


def _start_from(request: HttpRequest) -> tuple[str, dict[str, Any]]:
    """Name and parameters of the dataset that shall be duplicated, or the split that is asked for."""
    if source := request.GET.get("from"):
        origin = queries.dataset(workspace_of(request), as_id(source))
        return f"{origin.name} copy", dict(origin.parameters)
    return "", {name: request.GET[name] for name in ("split",) if name in request.GET}


def _counts(data: DataRevision, values: dict[str, Any]) -> dict[str, Any]:
    """Clips of each label for these parameters, and what is wrong with them."""
    state: dict[str, Any] = {"errors": {}, "defaults": {}}
    if not values.get("keywords"):
        return {"bars": [], "warnings": [], "state": state}
    try:
        counted = services.count_labels(data, values)
    except Invalid as error:
        return {"bars": [], "warnings": [], "state": {**state, "errors": error.fields}}
    return {"bars": queries.label_bars(counted["labels"]), "warnings": counted["warnings"], "state": state}
