"""The Account page."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_POST

from edgewise.accounts import queries, services
from edgewise.accounts.models import Scope
from edgewise.errors import Invalid, UserError
from edgewise.web.responses import dialog, go, show_or_send, signed_in, user_of, workspace_of

LIFETIMES = {"30": "30 days", "365": "1 year", "": "Never expires"}


@signed_in
@show_or_send
def page(request: HttpRequest) -> HttpResponse:
    """Show the account; a POST changes the names of user and workspace."""
    user, workspace, error = user_of(request), workspace_of(request), None
    if request.method == "POST":
        try:
            services.rename(user, workspace, request.POST.get("name", ""), request.POST.get("workspace", ""))
        except UserError as refused:
            error = refused
        else:
            messages.success(request, "Saved.")
            return go(request, "account:page")
    context = {**queries.account_page(user, workspace), "error": error}
    return render(request, "account/page.html", context, status=error.status if error else 200)


@signed_in
@show_or_send
def new_token(request: HttpRequest) -> HttpResponse:
    """Make a token and show its secret, this once."""
    name = request.POST.get("name", "")
    context = {"scopes": Scope.choices, "lifetimes": LIFETIMES.items(), "name": name}
    if request.method == "GET":
        return dialog(request, "account/new_token.html", context)
    try:
        token, secret = services.create_token(
            user_of(request), workspace_of(request), name, request.POST.get("scope", Scope.WRITE),
            _days(request.POST.get("lifetime", "365")),
        )  # fmt: skip
    except UserError as error:
        return dialog(request, "account/new_token.html", context, error)
    return dialog(request, "account/token.html", {"token": token, "secret": secret})


@signed_in
@require_POST
def revoke_token(request: HttpRequest, token_id: uuid.UUID) -> HttpResponse:
    """Delete a token."""
    services.revoke_token(user_of(request), token_id)
    messages.success(request, "The token was revoked.")
    return go(request, "account:page")


def _days(text: str) -> int | None:
    if text not in LIFETIMES:
        raise Invalid({"lifetime": "Choose how long the token shall live."})
    return int(text) if text else None
