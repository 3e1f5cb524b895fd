"""Downloads: whole, resumed, changed meanwhile, broken off."""

from __future__ import annotations

import http.server
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from workers.download import BLOCK, fetch, folder_for, forget_old
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
    assert path.name == "archive.tar.gz"
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


@pytest.mark.parametrize("path", ["/wörter/früh.tar.gz", "/a b.tar.gz?von=köln", "/..", "/.part", "/.version", "/"])
def test_any_name_is_fetched(server: Any, tmp_path: Path, path: str) -> None:
    server.address = server.address.partition("/data")[0] + path
    folder = tmp_path / "here"
    found = download(server, folder)
    assert found.parent == folder
    assert found.read_bytes() == CONTENT


def test_a_name_that_no_host_can_have(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="download"):
        fetch(f"http://{'ü' * 70}.example/words.tar.gz", tmp_path, lambda done, total: None, lambda: None)


def test_what_nobody_goes_on_with_is_forgotten(tmp_path: Path, settings: Any) -> None:
    settings.CACHE_FOLDER = tmp_path
    old, new = (folder_for(f"http://{name}.example/") for name in ("old", "new"))
    for folder in (old, new):
        folder.mkdir(parents=True)
        (folder / ".part").write_bytes(b"half")
    for path in (old, old / ".part"):
        os.utime(path, (0, 0))
    forget_old()
    assert (old.exists(), new.exists()) == (False, True)
