"""The device login: two addresses for programs, and the page on which their user answers."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from urllib.parse import urlencode

from allauth.core import ratelimit
from allauth.decorators import rate_limit
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from edgewise.accounts import device_login
from edgewise.accounts.models import Decision, DeviceLogin, Scope
from edgewise.errors import UserError
from edgewise.web.responses import show_or_send, signed_in, user_of, workspace_of

PENDING = "authorization_pending"


def for_programs(action: str) -> Callable[[Callable[[HttpRequest], HttpResponse]], Callable[..., HttpResponse]]:
    """Take forms from programs, which have no cookies, as often as `action` may be done; answer errors as OAuth does.

    RFC 8628 answers 400 to a program whose user has not answered yet. The programs that we serve take that for the end,
    and go on after a 403 alone, as other servers of this grant send it.
    """

    def decorate(view: Callable[[HttpRequest], HttpResponse]) -> Callable[..., HttpResponse]:
        @csrf_exempt
        @require_POST
        @never_cache
        @wraps(view)
        def wrapper(request: HttpRequest) -> HttpResponse:
            if not ratelimit.consume(request, action=action):
                return _refusal("slow_down", "Too many requests came from your address. Try again in a minute.", 429)
            try:
                return view(request)
            except device_login.Refused as refused:
                return _refusal(refused.code, str(refused), 403 if refused.code == PENDING else 400)

        return wrapper

    return decorate


@for_programs("device_code")
def code(request: HttpRequest) -> HttpResponse:
    """Give a program its codes (RFC 8628, section 3.2)."""
    login, secret = device_login.begin(request.POST.get("client_id", ""), request.POST.get("scope", ""))
    address, user_code = request.build_absolute_uri(reverse("device:page")), _shown(login.user_code)
    return JsonResponse(
        {
            "device_code": secret,
            "user_code": user_code,
            "verification_uri": address,
            "verification_uri_complete": f"{address}?{urlencode({'user_code': user_code})}",
            "expires_in": int(device_login.WAITS.total_seconds()),
            "interval": device_login.POLL_SECONDS,
        }
    )


@for_programs("device_token")
def token(request: HttpRequest) -> HttpResponse:
    """Give a program its token once its user has allowed it (RFC 8628, section 3.4)."""
    if request.POST.get("grant_type") != device_login.GRANT_TYPE:
        raise device_login.Refused("unsupported_grant_type", f"The grant_type must be {device_login.GRANT_TYPE}.")
    row, secret = device_login.redeem(request.POST.get("client_id", ""), request.POST.get("device_code", ""))
    assert row.expires_at is not None
    return JsonResponse(
        {
            "access_token": secret,
            "token_type": "Bearer",
            "expires_in": round((row.expires_at - timezone.now()).total_seconds()),
            "scope": "read write" if row.scope == Scope.WRITE else "read",
        }
    )


@signed_in
@rate_limit(action="device_decision", limit_get=True)  # type: ignore[untyped-decorator]
@never_cache
@show_or_send
def page(request: HttpRequest) -> HttpResponse:
    """Show which program asks, and take the user's answer."""
    user_code = request.POST.get("user_code") or request.GET.get("user_code", "")
    context: dict[str, object] = {"user_code": user_code}
    try:
        if not user_code:
            return render(request, "account/device_code.html", context)
        login = _answer(request, user_code) if "answer" in request.POST else device_login.find(user_code)
    except UserError as error:
        return render(request, "account/device_code.html", {**context, "error": error}, status=error.status)
    context |= {"login": login, "shown": _shown(login.user_code), "workspace": workspace_of(request)}
    answered = login.decision != Decision.AWAITED
    return render(request, "account/device_answered.html" if answered else "account/device.html", context)


def _answer(request: HttpRequest, user_code: str) -> DeviceLogin:
    return device_login.decide(
        user_code, user=user_of(request), workspace=workspace_of(request), allow=request.POST["answer"] == "allow"
    )


def _shown(user_code: str) -> str:
    half = len(user_code) // 2
    return f"{user_code[:half]}-{user_code[half:]}"


def _refusal(error: str, description: str, status: int) -> JsonResponse:
    return JsonResponse({"error": error, "error_description": description}, status=status)
