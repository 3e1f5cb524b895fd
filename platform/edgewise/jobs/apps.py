"""The jobs app."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_delete


class JobsConfig(AppConfig):
    """Work that a worker does."""

    name = "edgewise.jobs"
    label = "jobs"

    def ready(self) -> None:
        """Make our Celery application the current one, for all who send tasks; let logs go with their jobs."""
        from edgewise.celery import app
        from edgewise.jobs.models import Job
        from edgewise.jobs.registry import job_models
        from edgewise.jobs.services import delete_log

        app.set_default()

        def delete_its_log(instance: Job, **_: Any) -> None:
            delete_log(instance)

        for model in job_models().values():
            post_delete.connect(delete_its_log, sender=model, weak=False)
