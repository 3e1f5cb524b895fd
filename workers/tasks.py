"""Celery tasks: thin. A task carries the id of a row; `runner` does the rest in a process of its own.

Tasks are acknowledged early. What was lost with a worker is found by its lease in PostgreSQL within seconds, where
Redis would deliver it again only after its visibility timeout, and twice if the work takes longer than that.
"""

from __future__ import annotations

from celery import shared_task
from celery.signals import worker_ready, worker_shutting_down
from django.contrib.sessions.models import Session
from django.utils import timezone

from datasets_app import uploads
from edgewise.jobs import services
from runs_app import drafts, previews
from workers import download, heartbeat, runner


@shared_task(name="edgewise.import_raw_data")
def import_raw_data(job_id: str) -> None:
    """Fill raw data."""
    runner.run("import_raw_data", job_id)


@shared_task(name="edgewise.preview_speech")
def preview_speech(job_id: str) -> None:
    """Speak an example."""
    runner.run("preview_speech", job_id)


@shared_task(name="edgewise.train")
def train(job_id: str) -> None:
    """Train and evaluate a run."""
    runner.run("train", job_id)


@shared_task(name="edgewise.preview_examples")
def preview_examples(job_id: str) -> None:
    """Make training examples to be heard and seen."""
    runner.run("preview_examples", job_id)


@shared_task(name="edgewise.map_clips")
def map_clips(job_id: str) -> None:
    """Lay the clips of a run's raw data out in the plane."""
    runner.run("map_clips", job_id)


@shared_task(name="edgewise.build_artifact")
def build_artifact(job_id: str) -> None:
    """Build an artifact."""
    runner.run("build_artifact", job_id)


@shared_task(name="edgewise.recover_jobs")
def recover_jobs() -> None:
    """Take back what lost its worker, and send again what was lost on the way."""
    services.recover()


@shared_task(name="edgewise.tidy")
def tidy() -> None:
    """Delete what has expired."""
    Session.objects.filter(expire_date__lt=timezone.now()).delete()
    heartbeat.forget_old_workers()
    previews.delete_old()
    uploads.delete_expired()
    download.forget_old()
    drafts.delete_old()


worker_ready.connect(heartbeat.start)
worker_shutting_down.connect(runner.shut_down)
