"""What the Account page reads."""

from __future__ import annotations

from typing import Any

from allauth.usersessions.models import UserSession
from django.http import HttpRequest

from edgewise.accounts.models import ApiToken, User, Workspace


def account_page(request: HttpRequest, user: User, workspace: Workspace) -> dict[str, Any]:
    """Tokens, open sessions and workspaces of a user."""
    return {
        "tokens": list(ApiToken.objects.filter(user=user).select_related("workspace")),
        "sessions": UserSession.objects.purge_and_list(user),
        "workspace": workspace,
        "members": list(workspace.memberships.select_related("user").order_by("user__email")),
    }
