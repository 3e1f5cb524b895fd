"""Who asks: a script by its token, or a browser by its session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db.models import F, Q
from django.utils import timezone
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework import authentication, exceptions, permissions
from rest_framework.request import Request

from edgewise.accounts.middleware import current_workspace
from edgewise.accounts.models import ApiToken, User, Workspace
from edgewise.accounts.services import digest, require_write

if TYPE_CHECKING:  # rest_framework.views itself imports this module, as its settings say
    from rest_framework.views import APIView


class TokenAuthentication(authentication.BaseAuthentication):
    """`Authorization: Bearer ew_…`."""

    def authenticate(self, request: Request) -> tuple[User, ApiToken] | None:
        """Find the token's user, or answer 401 where it is unknown or expired, or its user has left the workspace."""
        keyword, _, secret = request.headers.get("Authorization", "").partition(" ")
        if keyword.lower() != "bearer":
            return None
        now = timezone.now()
        unexpired = ApiToken.objects.filter(Q(expires_at=None) | Q(expires_at__gt=now))
        valid = unexpired.filter(user__is_active=True, workspace__memberships__user=F("user"))
        token = valid.select_related("user", "workspace").filter(digest=digest(secret.strip())).first()
        if token is None:
            raise exceptions.AuthenticationFailed("This token is unknown or has expired. Make one on the Account page.")
        ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        """Tell clients how to authenticate."""
        return "Bearer"


class BrowserSession(authentication.SessionAuthentication):
    """The session of a signed-in browser, with its CSRF token."""


class MayReadOrWrite(permissions.BasePermission):
    """Signed in; writing needs a token that may write and a role that may edit."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Check the token's scope and the user's role.

        Raises:
            Forbidden: one of them lets them read alone.
        """
        if not request.user.is_authenticated:
            return False
        if request.method not in permissions.SAFE_METHODS:
            token = request.auth if isinstance(request.auth, ApiToken) else None
            require_write(user_of(request), workspace_of(request), token)
        return True


def workspace_of(request: Request) -> Workspace:
    """Return the workspace in which an API request works."""
    if isinstance(request.auth, ApiToken):
        return request.auth.workspace
    workspace = current_workspace(request._request)
    assert workspace is not None
    return workspace


def user_of(request: Request) -> User:
    """Return the user who asks."""
    assert isinstance(request.user, User)
    return request.user


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """Tokens in the OpenAPI schema."""

    target_class = TokenAuthentication
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        """Describe the bearer token."""
        return {"type": "http", "scheme": "bearer"}


class SessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """The browser's session in the OpenAPI schema."""

    target_class = BrowserSession
    name = "session"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        """Describe the session cookie."""
        return {"type": "apiKey", "in": "cookie", "name": "sessionid"}
