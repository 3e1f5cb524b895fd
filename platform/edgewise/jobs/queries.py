"""What the Status page reads."""

from __future__ import annotations

import platform
import shutil
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from typing import Any

from django.conf import settings
from django.db.models import Count, Min
from django.utils import timezone

from edgewise.jobs.context import SILENT_AFTER
from edgewise.jobs.models import WAITING, Job, Queue, State, WorkerHeartbeat
from edgewise.jobs.registry import job_models

COMPONENTS = ("django", "celery", "psycopg2-binary", "redis", "tensorflow", "keras")


@dataclass(frozen=True)
class QueueState:
    """How long a queue is."""

    name: str
    waiting: int
    oldest: datetime | None
    running: int


def status_page() -> dict[str, Any]:
    """Queues, workers, disk and versions."""
    disk = shutil.disk_usage(settings.HOME)
    return {
        "queues": [_queue(queue) for queue in Queue],
        "workers": list(WorkerHeartbeat.objects.order_by("queue", "name")),
        "heard_since": timezone.now() - SILENT_AFTER,
        "disk": disk,
        "disk_used": disk.total - disk.free,
        "versions": [("Python", platform.python_version()), *((name, version(name)) for name in COMPONENTS)],
    }


def _queue(queue: Queue) -> QueueState:
    waiting, oldest, running = 0, None, 0
    for model in (model for model in job_models().values() if queue == model.QUEUE):
        rows = _rows(model)
        found = rows.filter(state__in=WAITING).aggregate(count=Count("pk"), oldest=Min("queued_at"))
        waiting += found["count"]
        oldest = min(filter(None, (oldest, found["oldest"])), default=None)
        running += rows.filter(state=State.RUNNING).count()
    return QueueState(queue.value, waiting, oldest, running)


def _rows(model: type[Job]) -> Any:
    return model._default_manager.all()
