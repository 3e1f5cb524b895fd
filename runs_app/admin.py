"""Projects and runs in Django's admin, for operators."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest

from runs_app.models import Evaluation, Project, Run


@admin.register(Project)
class ProjectAdmin(admin.ModelAdmin[Project]):
    """Projects."""

    list_display = ("name", "workspace", "created_by", "created_at")
    search_fields = ("name", "workspace__name")
    list_select_related = ("workspace", "created_by")


@admin.register(Run)
class RunAdmin(admin.ModelAdmin[Run]):
    """Runs: to be looked at. Users start, stop and delete them by services, which keep rows and files together."""

    list_display = ("name", "workspace", "state", "progress_done", "progress_total", "worker", "attempt", "queued_at")
    list_filter = ("state",)
    search_fields = ("name", "workspace__name", "id")
    list_select_related = ("workspace",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Runs are made by their service."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Run | None = None) -> bool:
        """A row that a worker writes is no place for hands."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Run | None = None) -> bool:
        """Files go with a run; the service deletes both."""
        return False


admin.site.register(Evaluation)
