"""One Redis subscription in the web process, fanned out to any number of browsers.

The hub lives in the event loop of the ASGI server. Each browser has a bounded queue: one that does not read fast enough
is told to reconnect, and catches up from PostgreSQL by its `Last-Event-ID`.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import redis.asyncio
import redis.exceptions
from django.conf import settings

from edgewise.events.publish import PREFIX

log = logging.getLogger(__name__)
QUEUE_LENGTH = 1000
PATIENCE_SECONDS = 3
RECONNECT: dict[str, Any] = {"event": "reconnect", "id": None, "data": {}}


class Hub:
    """Deliver what is published on a channel to all who watch it."""

    def __init__(self) -> None:
        self._watchers: dict[str, set[asyncio.Queue[dict[str, Any]]]] = defaultdict(set)
        self._task: asyncio.Task[None] | None = None
        self._subscribed = asyncio.Event()

    @asynccontextmanager
    async def watch(self, channel: str) -> AsyncIterator[asyncio.Queue[dict[str, Any]]]:
        """Give a queue that fills with the channel's events until the block ends.

        The block begins when Redis has confirmed the subscription: whoever reads the past then misses nothing.
        """
        queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue(QUEUE_LENGTH)
        self._watchers[channel].add(queue)
        try:
            await self._listening()
            yield queue
        finally:
            self._watchers[channel].discard(queue)
            if not self._watchers[channel]:
                del self._watchers[channel]

    async def _listening(self) -> None:
        if self._task is None or self._task.done():
            self._subscribed = asyncio.Event()
            self._task = asyncio.create_task(self._listen())
        try:
            await asyncio.wait_for(self._subscribed.wait(), PATIENCE_SECONDS)
        except TimeoutError:
            # The page still shows the past; when Redis is back, every browser is told to catch up.
            log.warning("there are no live events: Redis cannot be reached")

    async def _listen(self) -> None:
        delay, missed = 0.1, False
        while True:
            client = redis.asyncio.Redis.from_url(settings.REDIS_URL)
            try:
                async with client, client.pubsub() as subscription:
                    await subscription.psubscribe(PREFIX + "*")
                    async for message in subscription.listen():
                        if message["type"] == "pmessage":
                            self._deliver(json.loads(message["data"]))
                        elif message["type"] == "psubscribe":
                            self._subscribed.set()
                            if missed:
                                self._reconnect_everyone()
                            delay, missed = 0.1, False
            except (redis.exceptions.RedisError, OSError) as error:
                log.warning("the live events were interrupted: %s", error)
                self._subscribed.clear()
                missed = True
                await asyncio.sleep(delay)
                delay = min(delay * 2, 5)

    def _deliver(self, event: dict[str, Any]) -> None:
        for queue in list(self._watchers.get(event["channel"], ())):
            _put(queue, event)

    def _reconnect_everyone(self) -> None:
        for queues in list(self._watchers.values()):
            for queue in list(queues):
                _put(queue, RECONNECT)


def _put(queue: asyncio.Queue[dict[str, Any]], event: dict[str, Any]) -> None:
    if queue.full():
        while not queue.empty():
            queue.get_nowait()
        event = RECONNECT
    queue.put_nowait(event)


hub = Hub()
