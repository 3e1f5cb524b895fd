"""Kinds of jobs: the concrete models of `Job`, found by their `KIND`."""

from __future__ import annotations

from functools import cache

from django.apps import apps

from edgewise.jobs.models import Job


@cache
def job_models() -> dict[str, type[Job]]:
    """Map each kind to its model."""
    return {model.KIND: model for model in apps.get_models() if issubclass(model, Job)}


def task_name(kind: str) -> str:
    """Name the Celery task that does jobs of this kind."""
    return f"edgewise.{kind}"
