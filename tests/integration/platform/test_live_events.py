"""Server-sent events: the past first, nothing lost and nothing twice between past and present."""

from __future__ import annotations

import asyncio
from typing import Any

from edgewise.events.hub import Hub
from edgewise.events.publish import publish
from edgewise.events.sse import stream


def event(number: int) -> dict[str, Any]:
    return {"event": "metrics", "id": number, "data": {"step": number}}


async def read(response: Any, count: int) -> list[str]:
    found: list[str] = []
    async for chunk in response.streaming_content:
        text = chunk.decode()
        if text.startswith(("id:", "event:")):
            found.append(text)
        if len(found) == count:
            return found
    return found


def test_what_the_past_had_already_is_not_sent_again() -> None:
    async def scenario() -> list[str]:
        async def past() -> list[dict[str, Any]]:
            # Published after the browser began to watch, and read from the database as well.
            for number in (1, 2, 3):
                await asyncio.to_thread(publish, "job:overlap", "metrics", {"step": number}, number)
            return [event(1), event(2)]

        return await asyncio.wait_for(read(stream("job:overlap", past), 3), 20)

    steps = [chunk.splitlines()[0] for chunk in asyncio.run(scenario())]
    assert steps == ["id: 1", "id: 2", "id: 3"]


def test_a_slow_browser_is_told_to_reconnect() -> None:
    async def scenario() -> dict[str, Any]:
        hub = Hub()
        async with hub.watch("job:slow") as queue:
            for number in range(queue.maxsize + 1):
                hub._deliver({"channel": "job:slow", **event(number)})
            return queue.get_nowait()

    assert asyncio.run(scenario())["event"] == "reconnect"


def test_watchers_hear_their_own_channel_alone() -> None:
    async def scenario() -> int:
        hub = Hub()
        async with hub.watch("job:mine") as queue:
            hub._deliver({"channel": "job:other", **event(1)})
            return queue.qsize()

    assert asyncio.run(scenario()) == 0
