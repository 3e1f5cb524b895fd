"""Raw data and datasets in Django's admin, for operators."""

from __future__ import annotations

from django.contrib import admin

from datasets_app.models import Clip, ClipEdit, Dataset, FileProblem, RawData, RawDataImport


@admin.register(RawData)
class RawDataAdmin(admin.ModelAdmin[RawData]):
    """Recorded words, and who sees them."""

    list_display = ["name", "origin", "shared", "clip_count", "problem_count", "workspace", "created_at"]
    list_filter = ["origin", "shared"]
    search_fields = ["name"]
    readonly_fields = ["pack", "pack_sha256", "label_counts"]


@admin.register(RawDataImport)
class RawDataImportAdmin(admin.ModelAdmin[RawDataImport]):
    """What was imported, or why it was not."""

    list_display = ["raw_data", "source", "state", "failure_reason", "workspace", "queued_at"]
    list_filter = ["state", "source"]
    readonly_fields = ["raw_data"]


@admin.register(Clip)
class ClipAdmin(admin.ModelAdmin[Clip]):
    """Recordings: to be looked at. There may be millions, so they are never counted."""

    list_display = ["name", "label", "speaker", "split", "raw_data"]
    list_filter = ["kind", "split"]
    list_select_related = ["raw_data"]
    search_fields = ["name"]
    readonly_fields = ["raw_data"]
    show_full_result_count = False


@admin.register(ClipEdit)
class ClipEditAdmin(admin.ModelAdmin[ClipEdit]):
    """What workspaces changed in raw data: to be looked at, for the log is never rewritten."""

    list_display = ["raw_data", "revision", "action", "label", "clip_count", "workspace", "created_at"]
    list_filter = ["action"]
    list_select_related = ["raw_data", "workspace"]
    readonly_fields = ["raw_data", "revision", "action", "label", "undoes", "clip_count"]


@admin.register(FileProblem)
class FileProblemAdmin(admin.ModelAdmin[FileProblem]):
    """Files that could not be used."""

    list_display = ["name", "code", "reason", "raw_data"]
    list_filter = ["code"]
    list_select_related = ["raw_data"]
    readonly_fields = ["raw_data"]


@admin.register(Dataset)
class DatasetAdmin(admin.ModelAdmin[Dataset]):
    """Recipes over raw data; they are never changed after they were made."""

    list_display = ["name", "raw_data", "workspace", "created_at"]
    search_fields = ["name"]
    readonly_fields = ["raw_data", "parameters", "counts"]
