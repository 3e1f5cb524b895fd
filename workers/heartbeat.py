"""Workers say every few seconds that they consume their queue."""

from __future__ import annotations

import datetime
import math
import threading
from functools import partial
from typing import Any

from celery.worker import state
from celery.worker.consumer import Consumer
from django.utils import timezone

from edgewise.jobs.models import Queue, WorkerHeartbeat
from workers.database import retrying

INTERVAL_SECONDS = 5


def start(sender: Consumer, **_: Any) -> None:
    """Begin to beat for a worker that is ready, if it serves one of our job queues."""
    for queue in sender.app.amqp.queues.consume_from:
        if queue in Queue.values:
            threading.Thread(target=_beat, args=(sender, queue), daemon=True, name="heartbeat").start()


def _beat(consumer: Consumer, queue: str) -> None:
    started, stop = timezone.now(), threading.Event()
    while True:
        # A consumer without a connection takes no work, however alive its process is.
        if consumer.connection is not None and consumer.connection.connected:
            doing = ", ".join(sorted({request.name for request in state.active_requests}))
            values = {"queue": queue, "seen_at": timezone.now(), "started_at": started, "doing": doing}
            write = partial(WorkerHeartbeat.objects.update_or_create, values, name=consumer.hostname)
            retrying(write, patience=math.inf)
        stop.wait(INTERVAL_SECONDS)


def forget_old_workers() -> None:
    """Delete workers that have been silent for a day."""
    WorkerHeartbeat.objects.filter(seen_at__lt=timezone.now() - datetime.timedelta(days=1)).delete()
