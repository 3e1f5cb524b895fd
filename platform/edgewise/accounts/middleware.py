"""The workspace in which a browser's request works."""

from __future__ import annotations

from collections.abc import Callable

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest, HttpResponseBase
from django.utils.functional import SimpleLazyObject

from edgewise.accounts.models import Workspace
from edgewise.accounts.services import give_personal_workspace


class CurrentWorkspace:
    """Set `request.workspace`: lazily, since most static requests never ask."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        request.workspace = SimpleLazyObject(lambda: current_workspace(request))  # type: ignore[attr-defined]
        return self.get_response(request)


def current_workspace(request: HttpRequest) -> Workspace | None:
    """Return the signed-in user's workspace."""
    return give_personal_workspace(request.user) if request.user.is_authenticated else None
