"""An upload by the real tus client, on a whole installation: broken off, the web killed, gone on with, identical."""

from __future__ import annotations

import http.client
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tusclient.client import TusClient
from tusclient.exceptions import TusCommunicationError, TusUploadFailed
from tusclient.uploader import Uploader

from tests.installation import Installation, wait_for

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="finds its processes in /proc")
MEGABYTE = 2**20
SIZE = 20 * MEGABYTE + 12_345
CHUNK = 3 * MEGABYTE


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "words.zip"
    path.write_bytes(os.urandom(SIZE))
    return path


def uploader(installation: Installation, archive: Path, url: str = "", *, checksum: bool = False) -> Uploader:
    """A client that knows nothing but the address, as after a restart."""
    client = TusClient(
        f"http://127.0.0.1:{installation.port}/api/v1/uploads", {"Authorization": f"Bearer {installation.token}"}
    )
    made = client.uploader(
        str(archive), url=url or None, chunk_size=CHUNK, upload_checksum=checksum, metadata={"filename": archive.name}
    )
    assert isinstance(made, Uploader)
    return made


def offset_of(installation: Installation, archive: Path, url: str) -> int:
    return int(uploader(installation, archive, url).offset)


@contextmanager
def half_sent(installation: Installation, archive: Path, url: str, offset: int, size: int) -> Iterator[None]:
    """Announce all that is missing, send `size` bytes, and hang up behind the block."""
    connection = http.client.HTTPConnection("127.0.0.1", installation.port, timeout=30)
    connection.putrequest("PATCH", url.removeprefix(f"http://127.0.0.1:{installation.port}"))
    headers = {
        "Authorization": f"Bearer {installation.token}", "Tus-Resumable": "1.0.0", "Upload-Offset": str(offset),
        "Content-Type": "application/offset+octet-stream", "Content-Length": str(SIZE - offset),
    }  # fmt: skip
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    connection.send(archive.read_bytes()[offset : offset + size])
    yield
    connection.close()


def test_three_interruptions_and_a_killed_server(installation: Installation, archive: Path) -> None:
    first = uploader(installation, archive)
    first.upload_chunk()
    url = first.url
    assert url is not None

    # What arrived of a request that breaks off stays, and the same client meets it as a conflict.
    with half_sent(installation, archive, url, CHUNK, 5 * MEGABYTE):
        pass
    wait_for(lambda: offset_of(installation, archive, url) >= CHUNK + 4 * MEGABYTE, "the server has what arrived", 30)
    with pytest.raises(TusUploadFailed) as refused:
        first.upload_chunk()
    assert refused.value.status_code == 409

    second = uploader(installation, archive, url, checksum=True)
    second.upload_chunk()
    with half_sent(installation, archive, url, second.offset, 3 * MEGABYTE):
        wait_for(lambda: offset_of(installation, archive, url) > second.offset, "the server has a piece", 30)
        [web] = installation.processes("uvicorn")
        os.kill(web, signal.SIGKILL)
    with pytest.raises((TusUploadFailed, TusCommunicationError)):
        second.upload_chunk()
    wait_for(installation.answers, "the web is back", 60)

    third = uploader(installation, archive, url)
    assert second.offset < third.offset < SIZE
    third.upload()
    assert offset_of(installation, archive, url) == SIZE
    upload = installation.call("GET", f"/uploads/{url.rpartition('/')[2]}")
    assert upload["received"] == upload["size"] == SIZE
    assert (installation.home / "uploads" / upload["id"]).read_bytes() == archive.read_bytes()
