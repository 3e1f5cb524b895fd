"""Publishing: best effort, because PostgreSQL holds the truth and browsers catch up from there."""

from __future__ import annotations

import json
import logging
from functools import cache
from typing import Any

import redis
from django.conf import settings

from edgewise.jobs.models import Job
from edgewise.jobs.presentation import snapshot

PREFIX = "edgewise:events:"
log = logging.getLogger(__name__)


def publish(channel: str, event: str, data: Any, event_id: int | None = None) -> None:
    """Tell everyone who watches `channel` (`job:<id>` or `workspace:<id>`)."""
    message = json.dumps({"channel": channel, "event": event, "id": event_id, "data": data})
    try:
        _connection().publish(PREFIX + channel, message)
    except redis.RedisError as error:
        log.warning("live event not sent: %s", error)


def publish_job(job: Job) -> None:
    """Tell the watchers of a job, and of its workspace, where it stands."""
    data = snapshot(job)
    publish(f"job:{job.pk}", "job", data)
    publish(f"workspace:{job.workspace_id}", "job", data)


@cache
def _connection() -> redis.Redis:
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=2, socket_connect_timeout=2)
