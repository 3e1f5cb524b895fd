"""Letting a program in by a code that its user allows in a browser: the device grant of OAuth 2.0 (RFC 8628).

A program gets two codes: a long secret that it asks for its token with, and a short one that its user sees on our page.
Once the user has allowed it, the secret buys one token, once. There are no registered clients: what a program calls
itself is shown to the user and proves nothing.
"""

from __future__ import annotations

import datetime
import secrets

from django.db import transaction
from django.utils import timezone
from django.utils.crypto import get_random_string

from edgewise.accounts.models import ApiToken, Decision, DeviceLogin, Scope, User, Workspace
from edgewise.accounts.services import create_token, digest
from edgewise.errors import UserError

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:device_code"
WAITS = datetime.timedelta(minutes=10)
"""How long a code can be allowed."""
POLL_SECONDS = 5
TOKEN_DAYS = 1
CODE_LENGTH = 8
CODE_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
"""Letters that are not mistaken for each other and spell no words (RFC 8628, section 6.1)."""


class Refused(Exception):
    """No token now, or ever; `code` is one of RFC 6749, section 5.2, or RFC 8628, section 3.5."""

    def __init__(self, code: str, description: str) -> None:
        super().__init__(description)
        self.code = code


class CodeUnknown(UserError):
    """Nothing waits for an answer under this code."""

    status = 404
    code = "device-code-unknown"

    def __init__(self) -> None:
        super().__init__(
            "No program waits for an answer under this code.",
            "It may have expired, or was answered already: let the program ask again, and use its new code.",
        )


def begin(client_id: str, scope: str) -> tuple[DeviceLogin, str]:
    """Let a program wait for its user; return what waits and the device code, which is returned once.

    `scope` holds words with spaces between them; one of them is `write` where the program wants to change things.

    Raises:
        Refused: the program does not say what it is.
    """
    client_id, now = client_id.strip(), timezone.now()
    if not 1 <= len(client_id) <= 100:
        raise Refused("invalid_request", "Send a client_id of 1 to 100 characters: the user sees it.")
    # Kept for a while after their time, so that a program that is late hears why it gets no token.
    DeviceLogin.objects.filter(expires_at__lt=now - WAITS).delete()
    secret = secrets.token_urlsafe(32)
    login = DeviceLogin.objects.create(
        digest=digest(secret),
        user_code=get_random_string(CODE_LENGTH, CODE_LETTERS),
        client_id=client_id,
        scope=Scope.WRITE if Scope.WRITE in scope.split() else Scope.READ,
        expires_at=now + WAITS,
    )
    return login, secret


def find(user_code: str) -> DeviceLogin:
    """Return what waits for an answer under a code, however the user typed it.

    Raises:
        CodeUnknown: nothing does.
    """
    letters = "".join(filter(str.isalpha, user_code.upper()))
    waiting = DeviceLogin.objects.filter(decision=Decision.AWAITED, expires_at__gt=timezone.now())
    login = waiting.filter(user_code=letters).first()
    if login is None:
        raise CodeUnknown
    return login


def decide(user_code: str, *, user: User, workspace: Workspace, allow: bool) -> DeviceLogin:
    """Let the program of a code into a workspace as `user`, or refuse it.

    Raises:
        CodeUnknown: nothing waits for an answer under this code.
    """
    login = find(user_code)
    login.decision = Decision.ALLOWED if allow else Decision.DENIED
    # Of two answers at once the first one counts.
    awaited = DeviceLogin.objects.filter(pk=login.pk, decision=Decision.AWAITED)
    if not awaited.update(decision=login.decision, user=user, workspace=workspace):
        raise CodeUnknown
    return login


def redeem(client_id: str, device_code: str) -> tuple[ApiToken, str]:
    """Give a program its token, if its user has allowed it: the row and the secret, once.

    Raises:
        Refused: not yet, not any more, or never.
    """
    with transaction.atomic():
        # Locked: of two requests with the same code one alone gets a token.
        waiting = DeviceLogin.objects.select_for_update(of=("self",)).select_related("user", "workspace")
        login = waiting.filter(digest=digest(device_code), client_id=client_id.strip()).first()
        _require_allowed(login)
        assert login is not None
        assert login.user is not None
        assert login.workspace is not None
        name = f"{login.client_id} (signed in by code)"[:100]
        ApiToken.objects.filter(user=login.user, name=name, expires_at__lt=timezone.now()).delete()
        login.delete()
        return create_token(login.user, login.workspace, name, login.scope, TOKEN_DAYS)


def _require_allowed(login: DeviceLogin | None) -> None:
    if login is None:
        raise Refused("invalid_grant", "This device code is unknown, or was used already. Ask for another.")
    if login.expires_at <= timezone.now():
        raise Refused("expired_token", "Nobody allowed this program in time. Ask for another device code.")
    if login.decision == Decision.AWAITED:
        raise Refused("authorization_pending", "The user has not answered yet. Ask again in a few seconds.")
    if login.decision == Decision.DENIED:
        raise Refused("access_denied", "The user refused this program.")
