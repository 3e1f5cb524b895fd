"""Downloads: whole, resumed, changed meanwhile, broken off."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from workers.download import BLOCK, fetch
from workers.engine.errors import EngineError

CONTENT = bytes(range(256)) * (5 * BLOCK // 512)


class Archive(http.server.BaseHTTPRequestHandler):
    """Serves one file, with ranges and entity tags."""

    content = CONTENT
    tag: str | None = '"1"'
    hang_up_after: int | None = None
    asked: list[str | None] = []

    def do_GET(self) -> None:
        first = self.headers.get("Range")
        type(self).asked.append(first)
        start = int(first.removeprefix("bytes=").removesuffix("-")) if first else 0
        if first and self.headers.get("If-Range") != self.tag:
            start = 0
        if start and start >= len(self.content):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(self.content) - start))
        if self.tag:
            self.send_header("ETag", self.tag)
        self.end_headers()
        self.wfile.write(self.content[start:][: self.hang_up_after])

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[type[Archive]]:
    handler = type("Handler", (Archive,), {"asked": []})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        handler.address = f"http://127.0.0.1:{running.server_port}/data/words.tar.gz?version=2"  # type: ignore[attr-defined]
        yield handler
        running.shutdown()
        thread.join()


def download(server: Any, folder: Path) -> Path:
    return fetch(server.address, folder, lambda done, total: None, lambda: None)


def test_a_file_arrives_whole(server: Any, tmp_path: Path) -> None:
    reported: list[tuple[int, int]] = []
    path = fetch(server.address, tmp_path, lambda done, total: reported.append((done, total)), lambda: None)
    assert path.name == "words.tar.gz"
    assert path.read_bytes() == CONTENT
    assert reported[-1] == (len(CONTENT), len(CONTENT))


def test_a_file_that_is_there_is_not_fetched_again(server: Any, tmp_path: Path) -> None:
    download(server, tmp_path)
    download(server, tmp_path)
    assert len(server.asked) == 1


def test_it_goes_on_where_it_stopped(server: Any, tmp_path: Path) -> None:
    server.hang_up_after = BLOCK + BLOCK // 2
    with pytest.raises(EngineError, match="hung up after"):
        download(server, tmp_path)
    server.hang_up_after = None
    assert download(server, tmp_path).read_bytes() == CONTENT
    assert server.asked == [None, f"bytes={BLOCK + BLOCK // 2}-"]


def test_a_user_may_stop_it(server: Any, tmp_path: Path) -> None:
    blocks = 0

    def stop() -> None:
        nonlocal blocks
        blocks += 1
        if blocks == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(server.address, tmp_path, lambda done, total: None, stop)
    assert download(server, tmp_path).read_bytes() == CONTENT
    assert server.asked[1] is not None


def test_a_file_that_changed_is_fetched_anew(server: Any, tmp_path: Path) -> None:
    server.hang_up_after = BLOCK
    with pytest.raises(EngineError):
        download(server, tmp_path)
    server.hang_up_after, server.tag, server.content = None, '"2"', CONTENT[::-1]
    assert download(server, tmp_path).read_bytes() == CONTENT[::-1]


def test_a_server_that_names_no_version_is_asked_anew(server: Any, tmp_path: Path) -> None:
    server.hang_up_after, server.tag = BLOCK, None
    with pytest.raises(EngineError):
        download(server, tmp_path)
    server.hang_up_after = None
    assert download(server, tmp_path).read_bytes() == CONTENT
    assert server.asked == [None, None]


def test_a_file_that_shrank_begins_anew(server: Any, tmp_path: Path) -> None:
    server.hang_up_after = 2 * BLOCK
    with pytest.raises(EngineError):
        download(server, tmp_path)
    server.hang_up_after, server.content = None, CONTENT[:BLOCK]
    with pytest.raises(EngineError, match="416"):
        download(server, tmp_path)
    assert download(server, tmp_path).read_bytes() == CONTENT[:BLOCK]


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(EngineError) as caught:
        fetch("http://127.0.0.1:9/words.tar.gz", tmp_path, lambda done, total: None, lambda: None)
    assert caught.value.code == "download"
    assert "press Resume" in caught.value.remedy
