"""The runs app."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_delete


class RunsConfig(AppConfig):
    """Projects and runs."""

    name = "runs_app"

    def ready(self) -> None:
        """Let the files of previews go with their rows, also where a deleted dataset takes them along."""
        from runs_app import previews
        from runs_app.models import Preview

        def delete_files(instance: Preview, **_: Any) -> None:
            previews.delete_files(instance)

        post_delete.connect(delete_files, sender=Preview, weak=False)
