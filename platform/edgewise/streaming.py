"""Uploads by tus are kept while they arrive.

Django reads the whole body of a request before it calls a view: an upload that breaks off after an hour would leave
nothing. So the body of a tus `PATCH` is cut here into pieces, and each becomes a small `PATCH` of its own. The view
stays simple, memory is bounded by a piece, and of a request that breaks off everything stays that had arrived.

A chunk with a checksum is handed on whole: nothing of it may be kept before all of it has been checked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

Scope = dict[str, Any]
Message = Mapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

PREFIX = "/api/v1/uploads"
PIECE_BYTES = 2 * 2**20
"""Less than Django's `FILE_UPLOAD_MAX_MEMORY_SIZE`: a piece never goes by a temporary file."""


class StreamedUploads:
    """An ASGI application around Django's."""

    def __init__(self, application: Application) -> None:
        self.application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Cut the bodies of tus uploads, and hand on everything else."""
        if scope["type"] != "http" or not scope["path"].startswith(PREFIX):
            await self.application(scope, receive, send)
            return
        headers = dict(scope["headers"])
        # Some proxies let nothing but GET and POST through; the protocol has this header for clients behind them.
        scope = {**scope, "method": headers.get(b"x-http-method-override", scope["method"].encode()).decode("latin-1")}
        if scope["method"] == "PATCH" and b"upload-checksum" not in headers:
            await self._in_pieces(scope, headers, receive, send)
        else:
            await self.application(scope, receive, send)

    async def _in_pieces(self, scope: Scope, headers: dict[bytes, bytes], receive: Receive, send: Send) -> None:
        is_first, goes_on = True, True
        while goes_on:
            piece, goes_on, is_connected = await _next_piece(receive)
            if not (piece or is_first):
                break
            is_first = False
            headers[b"content-length"] = str(len(piece)).encode()
            answer = await self._call({**scope, "headers": list(headers.items())}, piece)
            answered = {name.lower(): value for name, value in answer[0]["headers"]}
            goes_on = goes_on and answer[0]["status"] == 204
            headers[b"upload-offset"] = answered.get(b"upload-offset", b"")
        if is_connected:
            for message in answer:
                await send(message)

    async def _call(self, scope: Scope, piece: bytes) -> list[Message]:
        """Let the application answer a request with this body; return the messages of its answer."""
        requests: asyncio.Queue[Message] = asyncio.Queue()
        requests.put_nowait({"type": "http.request", "body": piece, "more_body": False})
        answer: list[Message] = []

        async def collect(message: Message) -> None:
            answer.append(message)

        # After the body the queue keeps the application waiting, as a client does that stays connected.
        await self.application(scope, requests.get, collect)
        return answer


async def _next_piece(receive: Receive) -> tuple[bytes, bool, bool]:
    """Collect the next piece of a body: its bytes, whether more may follow, whether the client is still there."""
    piece = bytearray()
    while len(piece) < PIECE_BYTES:
        message = await receive()
        if message["type"] == "http.disconnect":
            return bytes(piece), False, False
        piece += message.get("body", b"")
        if not message.get("more_body", False):
            return bytes(piece), False, True
    return bytes(piece), True, True
