"""The Status page of operators, and the word about workers on every page."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from edgewise.accounts.models import User
from edgewise.health import readiness
from edgewise.jobs import queries


@login_required
@require_GET
def page(request: HttpRequest) -> HttpResponse:
    """Show services, queues, workers, disk and versions."""
    assert isinstance(request.user, User)
    if not request.user.is_staff:
        raise PermissionDenied
    return render(request, "status/page.html", {**queries.status_page(), "services": readiness()})


@require_GET
def workers(request: HttpRequest) -> HttpResponse:
    """Draw the banner about missing workers anew, for an open page; a page whose session ended keeps its own."""
    if not request.user.is_authenticated:
        return HttpResponse(status=204)
    return render(request, "components/workers.html")
