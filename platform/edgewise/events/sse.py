"""Server-sent events (WHATWG HTML, section 9.2)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any

from django.http import HttpRequest, StreamingHttpResponse

from edgewise.events.hub import hub
from edgewise.lookup import as_number

Event = dict[str, Any]
"""An event's name, its id (or None) and its data: `{"event": …, "id": …, "data": …}`."""

KEEP_ALIVE_SECONDS = 15
RETRY_MILLISECONDS = 2000


def stream(channel: str, catch_up: Callable[[], Awaitable[Iterable[Event]]]) -> StreamingHttpResponse:
    """Answer with what `catch_up` knows, then with everything that is published on `channel`.

    The channel is watched before the past is read, so that nothing falls between the two; events with an id that the
    past had already are dropped.
    """
    response = StreamingHttpResponse(_events(channel, catch_up), content_type="text/event-stream")
    response["Cache-Control"] = "no-store"
    response["X-Accel-Buffering"] = "no"
    return response


def last_event_id(request: HttpRequest) -> int:
    """Return the id after which a reconnecting browser wants events; 0 for a new one."""
    value = request.headers.get("Last-Event-ID", "") or request.GET.get("last_event_id", "")
    return as_number(value) or 0


async def _events(channel: str, catch_up: Callable[[], Awaitable[Iterable[Event]]]) -> AsyncIterator[bytes]:
    yield f"retry: {RETRY_MILLISECONDS}\n\n".encode()
    async with hub.watch(channel) as queue:
        newest = 0
        for event in await catch_up():
            newest = max(newest, event["id"] or 0)
            yield _encode(event)
        while True:
            try:
                event = await asyncio.wait_for(queue.get(), KEEP_ALIVE_SECONDS)
            except TimeoutError:
                yield b": still here\n\n"
                continue
            if event["event"] == "reconnect":
                return
            if not event["id"] or event["id"] > newest:
                yield _encode(event)


def _encode(event: Event) -> bytes:
    lines = [f"event: {event['event']}", f"data: {json.dumps(event['data'], separators=(',', ':'))}"]
    if event["id"]:
        lines.insert(0, f"id: {event['id']}")
    return ("\n".join(lines) + "\n\n").encode()
