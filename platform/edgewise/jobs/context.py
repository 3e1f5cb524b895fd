"""What every page says about the workers."""

from __future__ import annotations

import datetime
from typing import Any

from django.http import HttpRequest
from django.utils import timezone
from django.utils.functional import SimpleLazyObject

from edgewise.jobs.models import Queue, WorkerHeartbeat

SILENT_AFTER = datetime.timedelta(seconds=30)


def idle_queues() -> list[str]:
    """Queues from which no worker has taken work for 30 seconds."""
    alive = set(
        WorkerHeartbeat.objects.filter(seen_at__gt=timezone.now() - SILENT_AFTER).values_list("queue", flat=True)
    )
    return [queue for queue in Queue.values if queue not in alive]


def workers(request: HttpRequest) -> dict[str, Any]:
    """Give templates `idle_queues`, read only where a page shows it."""
    return {"idle_queues": SimpleLazyObject(idle_queues)}
