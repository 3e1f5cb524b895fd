"""The dialog that begins a recording, and the page of the microphone. The page stores takes by REST."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from datasets_app.models import RawData
from datasets_app.recording import queries, services
from edgewise.errors import UserError
from edgewise.spec.recording import RecordingParameters
from edgewise.spec.words import split_words
from edgewise.web.forms import ParameterForm, read
from edgewise.web.responses import dialog, go, signed_in, user_of, workspace_of

FIRST_NAME = "Recorded words"


@signed_in
@require_http_methods(["GET", "POST"])
def begin(request: HttpRequest) -> HttpResponse:
    """Say which words shall be recorded."""
    name, words = request.POST.get("name", FIRST_NAME), request.POST.get("words", "")
    values = read(RecordingParameters, request.POST, without=["words"])
    form = ParameterForm(RecordingParameters, values, without=["words"])
    context = {"name": name, "words": words, "form": form}
    if request.method == "GET":
        return dialog(request, "recording/begin.html", context)
    try:
        raw_data = services.begin_recording(
            workspace=workspace_of(request), user=user_of(request), name=name,
            parameters={**values, "words": split_words(words)},
        )  # fmt: skip
    except UserError as error:
        form = ParameterForm(RecordingParameters, values, without=["words"], errors=error.fields)
        return dialog(request, "recording/begin.html", {**context, "form": form}, error)
    return go(request, "datasets:record", raw_data.pk)


@signed_in
@require_GET
def page(request: HttpRequest, raw_data_id: uuid.UUID) -> HttpResponse:
    """Show the words, the microphone, and the takes that wait."""
    return _page(request, raw_data_id)


@signed_in
@require_POST
def add_words(request: HttpRequest, raw_data_id: uuid.UUID) -> HttpResponse:
    """Add words to those that are recorded."""
    try:
        services.add_words(_recorded(request, raw_data_id), split_words(request.POST.get("words", "")))
    except UserError as error:
        return _page(request, raw_data_id, error)
    return go(request, "datasets:record", raw_data_id)


@signed_in
@require_POST
def finish(request: HttpRequest, raw_data_id: uuid.UUID) -> HttpResponse:
    """Make clips of the takes."""
    raw_data = _recorded(request, raw_data_id)
    try:
        services.finish(raw_data)
    except UserError as error:
        return _page(request, raw_data_id, error)
    messages.success(request, f"The clips of “{raw_data.name}” are being put together. Then make a dataset of them.")
    return go(request, "datasets:list")


def _recorded(request: HttpRequest, raw_data_id: uuid.UUID) -> RawData:
    return queries.recorded(workspace_of(request), raw_data_id)


def _page(request: HttpRequest, raw_data_id: uuid.UUID, error: UserError | None = None) -> HttpResponse:
    context = {
        "page": queries.recording_page(_recorded(request, raw_data_id)),
        "error": error,
        "words": request.POST.get("words", ""),
    }
    return render(request, "recording/page.html", context, status=error.status if error else 200)
