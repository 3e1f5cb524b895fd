"""What the Account page reads."""

from __future__ import annotations

from typing import Any

from edgewise.accounts.models import ApiToken, User, Workspace


def account_page(user: User, workspace: Workspace) -> dict[str, Any]:
    """Tokens of a user, and who shares the workspace."""
    return {
        "tokens": list(ApiToken.objects.filter(user=user).select_related("workspace")),
        "workspace": workspace,
        "members": list(workspace.memberships.select_related("user").order_by("user__email")),
    }
