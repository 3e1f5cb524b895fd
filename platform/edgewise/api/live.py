"""Server-sent events of the API: asynchronous views that know who asks."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponseBase, JsonResponse
from rest_framework import exceptions
from rest_framework.request import Request

from edgewise.accounts.models import Workspace
from edgewise.api.authentication import BrowserSession, TokenAuthentication, workspace_of
from edgewise.errors import UserError
from edgewise.events.sse import Event, stream

LiveView = Callable[..., Coroutine[Any, Any, HttpResponseBase]]


def live(view: LiveView) -> LiveView:
    """Call `view(request, workspace, …)` for who may read; answer a problem to everyone else."""

    @wraps(view)
    async def wrapper(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            workspace = await sync_to_async(_workspace)(request)
            return await view(request, workspace, *args, **kwargs)
        except exceptions.APIException as error:
            return _problem(error.status_code, str(error.detail))
        except UserError as error:
            return _problem(error.status, error.sentence)

    return wrapper


@live
async def workspace_events(request: HttpRequest, workspace: Workspace) -> HttpResponseBase:
    """Stream the state and progress of every job of the workspace."""

    async def nothing() -> list[Event]:
        return []

    return stream(f"workspace:{workspace.pk}", nothing)


def _workspace(request: HttpRequest) -> Workspace:
    wrapped = Request(request, authenticators=[TokenAuthentication(), BrowserSession()])
    if not wrapped.user.is_authenticated:
        raise exceptions.NotAuthenticated
    return workspace_of(wrapped)


def _problem(status: int, detail: str) -> JsonResponse:
    return JsonResponse({"status": status, "detail": detail}, status=status, content_type="application/problem+json")
