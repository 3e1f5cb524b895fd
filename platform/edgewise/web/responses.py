"""How views answer: a page or, to htmx, a dialog; and where the browser goes next."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render, resolve_url
from django.views.decorators.http import require_http_methods

from edgewise.accounts.models import User, Workspace
from edgewise.accounts.services import require_write
from edgewise.errors import UserError

View = TypeVar("View", bound=Callable[..., HttpResponse])
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
show_or_send = require_http_methods(["GET", "POST"])
"""For pages that show a form and take it."""


def signed_in(view: View) -> View:
    """Let in who has signed in; what changes something takes a role that may."""

    @login_required
    @wraps(view)
    def wrapper(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.method not in SAFE_METHODS:
            require_write(user_of(request), workspace_of(request))
        return view(request, *args, **kwargs)

    return cast(View, wrapper)


def workspace_of(request: HttpRequest) -> Workspace:
    """Return the workspace in which a signed-in browser works."""
    workspace: Workspace = request.workspace  # type: ignore[attr-defined]
    return workspace


def user_of(request: HttpRequest) -> User:
    """Return the signed-in user."""
    assert isinstance(request.user, User)
    return request.user


def wants_part(request: HttpRequest) -> bool:
    """Whether htmx asks for a part of a page."""
    return bool(request.htmx)  # type: ignore[attr-defined]


def dialog(
    request: HttpRequest, template: str, context: dict[str, Any], error: UserError | None = None
) -> HttpResponse:
    """Show a dialog in the page that asked for it; without scripts it is a page of its own.

    An `error` is shown in the dialog, which keeps what was typed.
    """
    layout = "layouts/dialog.html" if wants_part(request) else "layouts/dialog_page.html"
    status = error.status if error else 200
    return render(request, template, {**context, "layout": layout, "error": error}, status=status)


def go(request: HttpRequest, to: Any, *args: Any) -> HttpResponse:
    """Send the browser to another page after something was done."""
    if wants_part(request):
        return HttpResponse(status=204, headers={"HX-Redirect": resolve_url(to, *args)})
    return redirect(to, *args)


def again(request: HttpRequest, otherwise: Any, *args: Any) -> HttpResponse:
    """Show the page anew in which a dialog did its work; without scripts, the page `otherwise`."""
    if wants_part(request):
        return HttpResponse(status=204, headers={"HX-Refresh": "true"})
    return redirect(otherwise, *args)
