"""Bodies of uploads come to the application in pieces, and nothing that arrived is lost."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from edgewise.streaming import PIECE_BYTES, StreamedUploads

CHUNK = 2**16


class Keeper:
    """An application that keeps what it is sent, as the uploads' view does; from `full` bytes on it refuses."""

    def __init__(self, full: int = 2**40) -> None:
        self.kept, self.full = b"", full
        self.calls: list[tuple[str, int]] = []

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message["body"], message["more_body"]
        headers = dict(scope["headers"])
        self.calls.append((scope["method"], len(body)))
        if b"content-length" in headers:
            assert int(headers[b"content-length"]) == len(body)
        wanted = headers[b"upload-offset"] == str(len(self.kept)).encode() and len(self.kept) < self.full
        self.kept += body if wanted else b""
        answer = [(b"Upload-Offset", str(len(self.kept)).encode())]
        await send({"type": "http.response.start", "status": 204 if wanted else 409, "headers": answer})
        await send({"type": "http.response.body", "body": b""})


def send(
    application: Keeper, content: bytes, *, cut: bool = False, path: str = "/api/v1/uploads/1", method: str = "PATCH",
    **headers: str,
) -> list[dict[str, Any]]:  # fmt: skip
    """Send a request; with `cut` its client hangs up behind `content`. Returns what the client is answered."""
    parts = [content[start : start + CHUNK] for start in range(0, len(content), CHUNK)] or [b""]
    messages = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    messages.append({"type": "http.disconnect"} if cut else {"type": "http.request", "body": b"", "more_body": False})
    answers: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    async def answer(message: dict[str, Any]) -> None:
        answers.append(message)

    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    sent = [(b"upload-offset", b"0"), (b"content-length", str(len(content)).encode()), *named]
    scope = {"type": "http", "path": path, "method": method, "headers": sent}
    asyncio.run(StreamedUploads(application)(scope, receive, answer))  # type: ignore[arg-type]
    return answers


def content(size: int) -> bytes:
    return bytes(range(251)) * (size // 251) + b"x" * (size % 251)


@pytest.mark.parametrize("size", [0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 2 * PIECE_BYTES + 5])
def test_all_bytes_arrive_in_order(size: int) -> None:
    keeper = Keeper()
    start, _ = send(keeper, content(size))
    assert keeper.kept == content(size)
    assert (start["status"], dict(start["headers"])[b"Upload-Offset"]) == (204, str(size).encode())
    assert max(length for _, length in keeper.calls) <= PIECE_BYTES + CHUNK


def test_what_arrived_before_the_client_hung_up_is_kept() -> None:
    keeper, sent = Keeper(), content(2 * PIECE_BYTES + 1000)
    assert send(keeper, sent, cut=True) == []
    assert keeper.kept == sent


def test_the_first_refusal_is_the_answer() -> None:
    keeper = Keeper(full=PIECE_BYTES)
    start, _ = send(keeper, content(4 * PIECE_BYTES))
    assert start["status"] == 409
    assert len(keeper.calls) == 2


def test_a_chunk_with_a_checksum_stays_whole() -> None:
    keeper = Keeper()
    send(keeper, content(2 * PIECE_BYTES), upload_checksum="sha1 x")
    assert keeper.calls == [("PATCH", 2 * PIECE_BYTES)]


def test_the_method_can_be_named_by_a_header() -> None:
    keeper = Keeper()
    send(keeper, content(2 * PIECE_BYTES), method="POST", x_http_method_override="PATCH")
    assert keeper.kept == content(2 * PIECE_BYTES)
    assert keeper.calls[0] == ("PATCH", PIECE_BYTES)


def test_other_addresses_are_left_alone() -> None:
    keeper = Keeper()
    send(keeper, content(2 * PIECE_BYTES), path="/api/v1/runs", x_http_method_override="DELETE")
    assert keeper.calls == [("PATCH", 2 * PIECE_BYTES)]
