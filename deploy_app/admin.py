"""Artifacts in Django's admin, for operators."""

from __future__ import annotations

from django.contrib import admin

from deploy_app.models import Artifact


@admin.register(Artifact)
class ArtifactAdmin(admin.ModelAdmin[Artifact]):
    """What was built, or why it was not."""

    list_display = ("run", "format", "state", "size", "accuracy", "workspace", "queued_at")
    list_filter = ("state", "format")
    search_fields = ("run__name", "sha256")
    readonly_fields = ("run", "weights_sha256", "sha256", "size", "accuracy")
