"""Pages of the explorer."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from urllib.parse import urlsplit

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_GET, require_POST

from datasets_app import edits, queries
from datasets_app.explorer import queries as explorer
from datasets_app.explorer.filters import ClipFilter, explored
from datasets_app.revisions import DataRevision
from edgewise.errors import Conflict, UserError
from edgewise.lookup import as_id, as_number
from edgewise.web.responses import signed_in, user_of, workspace_of


@signed_in
@require_GET
def clips(request: HttpRequest, raw_data_id: uuid.UUID) -> HttpResponse:
    """List clips: filter, sort, look, hear, select."""
    return _clip_list(request, _data(request, raw_data_id))


@signed_in
@require_POST
def edit_clips(request: HttpRequest, raw_data_id: uuid.UUID) -> HttpResponse:
    """Exclude, take in again, or relabel the clips that were selected, or all that match the filter."""
    data = _data(request, raw_data_id)
    try:
        done = edits.edit_clips(
            workspace=data.workspace, user=user_of(request), raw_data=data.raw_data,
            action=request.POST.get("action", ""), clips=_selected(request, data), label=request.POST.get("label", ""),
        )  # fmt: skip
    except UserError as error:
        return _clip_list(request, data, error)
    back = urlsplit(_back(request, _here(request, raw_data_id)))
    query = QueryDict(back.query, mutable=True)
    query["done"] = str(done.pk)
    return HttpResponseRedirect(back._replace(query=query.urlencode()).geturl())


@signed_in
@require_GET
def history(request: HttpRequest, raw_data_id: uuid.UUID) -> HttpResponse:
    """List what was edited, by whom and when."""
    data = _data(request, raw_data_id)
    return _history(request, data, as_number(request.GET.get("before", "")))


@signed_in
@require_POST
def undo(request: HttpRequest, raw_data_id: uuid.UUID, edit_id: uuid.UUID) -> HttpResponse:
    """Take an edit back, and go back to where the button was."""
    data = _data(request, raw_data_id)
    try:
        edits.undo_edit(edit=explorer.edit(data, edit_id), user=user_of(request))
    except Conflict as error:
        return _history(request, data, None, error)
    return HttpResponseRedirect(_back(request, reverse("datasets:history", args=[raw_data_id])))


def _data(request: HttpRequest, raw_data_id: uuid.UUID) -> DataRevision:
    workspace = workspace_of(request)
    return DataRevision(queries.raw_data(workspace, raw_data_id), workspace)


def _back(request: HttpRequest, otherwise: str) -> str:
    """Where the form wants to return to, if that is a page of ours."""
    wanted = request.POST.get("next", "")
    return wanted if url_has_allowed_host_and_scheme(wanted, allowed_hosts=None) else otherwise


def _here(request: HttpRequest, raw_data_id: uuid.UUID) -> str:
    """The list with its filter, without what was done last."""
    query = request.GET.copy()
    query.pop("done", None)
    return f"{reverse('datasets:clips', args=[raw_data_id])}?{query.urlencode()}"


def _clip_list(request: HttpRequest, data: DataRevision, error: UserError | None = None) -> HttpResponse:
    given = request.GET
    wanted = ClipFilter(given, explored(data))
    order = given.get("order", "name")
    order = order if order in explorer.ORDERS else "name"
    page = explorer.clip_page(data, wanted, order, _id(given.get("before")), _id(given.get("after")))
    labels = list(data.label_counts())
    context = {
        "raw_data": data.raw_data,
        "wanted": wanted.form,
        "active": any(given.get(name) for name in wanted.filters),
        "page": page,
        "order": order,
        "orders": [(name, title) for name, (title, _, _) in explorer.ORDERS.items()],
        "labels": explorer.label_choices(labels, given.get("label", "")),
        "here": _here(request, data.raw_data.pk),
        "done": explorer.edit(data, as_id(given["done"])) if "done" in given and not error else None,
        "chosen": set(request.POST.getlist("clip")),
        "label": request.POST.get("label", ""),
        "error": error,
    }
    return render(request, "datasets/explorer/clips.html", context, status=error.status if error else 200)


def _history(
    request: HttpRequest, data: DataRevision, before: int | None, error: UserError | None = None
) -> HttpResponse:
    found = explorer.history(data, before)
    is_full = len(found) == explorer.EDITS_ON_A_PAGE
    earlier = found[-1].revision if is_full and found[-1].revision > 1 else None
    context = {"raw_data": data.raw_data, "edits": found, "earlier": earlier, "error": error}
    return render(request, "datasets/explorer/history.html", context, status=error.status if error else 200)


def _selected(request: HttpRequest, data: DataRevision) -> Collection[uuid.UUID]:
    """Ids of the clips that were ticked, or of all that match the filter."""
    if "all" not in request.POST:
        return [as_id(text) for text in request.POST.getlist("clip")]
    found: list[uuid.UUID] = list(ClipFilter(request.GET, explored(data)).qs.values_list("pk", flat=True))
    if str(len(found)) != request.POST.get("matching"):
        raise Conflict(
            f"{len(found):,} clips match now, which is not what you saw: somebody has edited them meanwhile.",
            "Look at the list below, then do it again.",
        )
    return found


def _id(text: str | None) -> uuid.UUID | None:
    return as_id(text) if text else None
