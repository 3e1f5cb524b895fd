"""Server-sent events of the API: asynchronous views that know who asks."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from asgiref.sync import sync_to_async
from django.db import connection
from django.db.models import Q
from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django.utils import timezone
from rest_framework import exceptions
from rest_framework.request import Request

from edgewise.accounts.models import Workspace
from edgewise.api.authentication import BrowserSession, TokenAuthentication, workspace_of
from edgewise.api.problems import handle
from edgewise.errors import UserError
from edgewise.events.sse import Event, stream
from edgewise.jobs.models import ACTIVE
from edgewise.jobs.presentation import snapshot
from edgewise.jobs.registry import job_models

JUST_NOW = datetime.timedelta(minutes=1)

P = ParamSpec("P")
T = TypeVar("T")
LiveView = Callable[..., Coroutine[Any, Any, HttpResponseBase]]


async def from_database(read: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call `read` in the request's thread, and give its connection back: a stream of events stays open for hours."""

    def call() -> T:
        try:
            return read(*args, **kwargs)
        finally:
            if not connection.in_atomic_block:
                connection.close()

    return await sync_to_async(call)()


def live(view: LiveView) -> LiveView:
    """Call `view(request, workspace, …)` for who may read; answer a problem to everyone else."""

    @wraps(view)
    async def wrapper(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            workspace = await from_database(_workspace, request)
            return await view(request, workspace, *args, **kwargs)
        except (exceptions.APIException, UserError) as error:
            answer = handle(error, {})
            assert answer is not None
            content_type = "application/problem+json"
            return JsonResponse(answer.data, status=answer.status_code, content_type=content_type)

    return wrapper


@live
async def workspace_events(request: HttpRequest, workspace: Workspace) -> HttpResponseBase:
    """Stream the state and progress of every job of the workspace.

    What is at work or has just ended comes first: it may have changed since the page was drawn.
    """

    async def catch_up() -> list[Event]:
        return await from_database(_at_work, workspace)

    return stream(f"workspace:{workspace.pk}", catch_up)


def _at_work(workspace: Workspace) -> list[Event]:
    wanted = Q(state__in=ACTIVE) | Q(finished_at__gt=timezone.now() - JUST_NOW)
    of_workspace = Q(workspace=workspace) & wanted
    jobs = [job for model in job_models().values() for job in model._default_manager.filter(of_workspace)]
    return [{"event": "job", "id": None, "data": snapshot(job)} for job in jobs]


def _workspace(request: HttpRequest) -> Workspace:
    wrapped = Request(request, authenticators=[TokenAuthentication(), BrowserSession()])
    if not wrapped.user.is_authenticated:
        raise exceptions.NotAuthenticated
    return workspace_of(wrapped)
