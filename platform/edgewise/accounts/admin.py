"""Accounts in Django's admin, for operators."""

from __future__ import annotations

from django.contrib import admin

from edgewise.accounts.models import ApiToken, DeviceLogin, Membership, User, Workspace


@admin.register(User)
class UserAdmin(admin.ModelAdmin[User]):
    """Users."""

    list_display = ["email", "name", "is_staff", "is_active", "last_login"]
    search_fields = ["email", "name"]
    fields = ["email", "name", "is_active", "is_staff", "is_superuser", "groups", "user_permissions"]


class MembershipInline(admin.TabularInline[Membership, Workspace]):
    """Members of a workspace."""

    model = Membership
    extra = 0


@admin.register(Workspace)
class WorkspaceAdmin(admin.ModelAdmin[Workspace]):
    """Workspaces."""

    list_display = ["name", "personal", "created_at"]
    inlines = [MembershipInline]


@admin.register(ApiToken)
class ApiTokenAdmin(admin.ModelAdmin[ApiToken]):
    """Tokens: to be looked at and revoked, never made here."""

    list_display = ["name", "user", "workspace", "scope", "expires_at", "last_used_at"]
    readonly_fields = ["user", "workspace", "name", "scope", "digest", "expires_at", "last_used_at"]

    def has_add_permission(self, request: object) -> bool:
        """Tokens are shown once, to their owner."""
        return False


@admin.register(DeviceLogin)
class DeviceLoginAdmin(admin.ModelAdmin[DeviceLogin]):
    """Programs that wait for their users: to be looked at and deleted, never made or answered here."""

    list_display = ["client_id", "decision", "user", "expires_at"]
    readonly_fields = ["client_id", "scope", "decision", "user", "workspace", "expires_at"]
    exclude = ["digest", "user_code"]

    def has_add_permission(self, request: object) -> bool:
        """Programs ask by themselves."""
        return False
