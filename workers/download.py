"""Fetch a file by HTTP: straight to disk, and on from where an earlier attempt stopped."""

from __future__ import annotations

import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from workers.engine.errors import EngineError

BLOCK = 2**20
TIMEOUT_SECONDS = 60
RANGE_NOT_SATISFIABLE = 416


def fetch(address: str, folder: Path, report: Callable[[int, int], None], stop: Callable[[], None]) -> Path:
    """Fetch `address` into `folder`, which is for this address alone, and return the file.

    Args:
        address: http or https.
        folder: keeps what came before an interruption.
        report: is told how many bytes are there, and of how many (0: the server does not say).
        stop: is called between blocks and raises where the work shall end.

    Raises:
        EngineError: the server refuses, cannot be reached, or hangs up too soon.
    """
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / (PurePosixPath(urlsplit(address).path).name or "archive")
    if target.exists():
        return target
    part = _Part(folder)
    try:
        _receive(address, part, report, stop)
    except (OSError, http.client.HTTPException) as error:
        if isinstance(error, urllib.error.HTTPError) and error.code == RANGE_NOT_SATISFIABLE:
            part.forget()
        raise EngineError(
            "download",
            f"The download of {address} failed: {error}.",
            "Check the address and this server's network, then press Resume: it goes on where it stopped.",
        ) from error
    os.replace(part.path, target)
    return target


class _Part:
    """What has come so far, and the server's mark of the version that it is a part of."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / ".part"
        self._mark = folder / ".version"

    def headers(self) -> dict[str, str]:
        """Ask for the rest, if it is still the same file (RFC 9110, section 13.1.5)."""
        have = self.path.stat().st_size if self.path.exists() else 0
        mark = self._mark.read_text() if self._mark.exists() else ""
        return {"Range": f"bytes={have}-", "If-Range": mark} if have and mark else {}

    def remember(self, answer: http.client.HTTPResponse) -> None:
        """Keep the mark of a new version; a weak entity tag is none."""
        tag = answer.headers.get("ETag", "")
        self._mark.write_text(tag if tag.startswith('"') else answer.headers.get("Last-Modified", ""))

    def forget(self) -> None:
        """Begin anew next time."""
        self.path.unlink(missing_ok=True)


def _receive(address: str, part: _Part, report: Callable[[int, int], None], stop: Callable[[], None]) -> None:
    request = urllib.request.Request(address, headers=part.headers())  # noqa: S310 - the service takes http(s) alone
    with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310
        goes_on = answer.status == http.HTTPStatus.PARTIAL_CONTENT
        with part.path.open("ab" if goes_on else "wb") as file:
            if not goes_on:
                part.remember(answer)
            length = answer.headers.get("Content-Length")
            total = file.tell() + int(length) if length else 0
            while block := answer.read(BLOCK):
                stop()
                file.write(block)
                report(file.tell(), total)
            file.flush()
            os.fsync(file.fileno())
            if file.tell() < total:
                raise ConnectionError(f"the server hung up after {file.tell():,} of {total:,} bytes")
