"""Pages about findings."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_POST

from datasets_app import queries
from datasets_app.findings.services import exclude_found
from datasets_app.revisions import DataRevision
from edgewise.errors import Conflict
from edgewise.web.responses import go, signed_in, user_of, workspace_of


@signed_in
@require_POST
def exclude(request: HttpRequest, raw_data_id: uuid.UUID, code: str) -> HttpResponse:
    """Exclude all clips of one kind, and show them with the way back."""
    workspace = workspace_of(request)
    data = DataRevision(queries.raw_data(workspace, raw_data_id), workspace)
    try:
        edit = exclude_found(data=data, user=user_of(request), code=code)
    except Conflict as error:
        messages.info(request, f"{error.reason} {error.remedy}")
        return go(request, "datasets:raw", raw_data_id)
    query = urlencode({"finding": code, "done": str(edit.pk)})
    return HttpResponseRedirect(f"{reverse('datasets:clips', args=[raw_data_id])}?{query}")
