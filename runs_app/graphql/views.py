"""The address of the GraphQL interface: bearer tokens alone, so that no browser can be made to use it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from cross_web import HTTPException
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request
from strawberry.django.views import GraphQLView

from edgewise.accounts.models import ApiToken, User, Workspace
from edgewise.accounts.services import require_write
from edgewise.api.authentication import TokenAuthentication

MOST_BYTES = 64 * 1024


@dataclass(frozen=True)
class Caller:
    """Who asks, and by which token."""

    user: User
    token: ApiToken

    @property
    def workspace(self) -> Workspace:
        """The workspace in which the token works."""
        return self.token.workspace

    def require_write(self) -> None:
        """Let nobody change anything who may not.

        Raises:
            Forbidden: the token may only read, or its user may not edit the workspace.
        """
        require_write(self.user, self.workspace, self.token)


class BearerGraphQLView(GraphQLView[Caller, None]):
    """GraphQL for programs that show a token; sessions of browsers mean nothing here, and so no CSRF token is asked."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Answer a request whose token is good."""
        try:
            # It reads headers alone, which Django's own requests have.
            found = TokenAuthentication().authenticate(cast(Request, request))
        except AuthenticationFailed as refused:
            return _refusal(str(refused.detail), 401)
        if found is None:
            return _refusal("You are not signed in. Send `Authorization: Bearer TOKEN`.", 401)
        if int(request.headers.get("Content-Length") or 0) > MOST_BYTES:
            return _refusal(f"The request is too large: {MOST_BYTES:,} bytes are taken. Send less at once.", 413)
        self.caller = Caller(*found)
        try:
            return self.run(request=request)
        except HTTPException as refused:
            return _refusal(refused.reason, refused.status_code)

    def parse_json(self, data: str | bytes) -> Any:
        """Read the body: one object, nested no deeper than Python's reader goes."""
        try:
            body = super().parse_json(data)
        except RecursionError as error:
            raise HTTPException(400, "The request is nested too deeply to be read.") from error
        if not isinstance(body, dict):
            raise HTTPException(400, 'The request must be an object: {"query": "…", "variables": {}}.')
        return body

    def get_context(self, request: HttpRequest, response: HttpResponse) -> Caller:
        """Tell resolvers who asks."""
        return self.caller


def _refusal(message: str, status: int) -> JsonResponse:
    response = JsonResponse({"data": None, "errors": [{"message": message}]}, status=status)
    if status == 401:
        response["WWW-Authenticate"] = "Bearer"
    return response
