"""The jobs app."""

from __future__ import annotations

from django.apps import AppConfig


class JobsConfig(AppConfig):
    """Work that a worker does."""

    name = "edgewise.jobs"
    label = "jobs"

    def ready(self) -> None:
        """Make our Celery application the current one, for all who send tasks."""
        from edgewise.celery import app

        app.set_default()
