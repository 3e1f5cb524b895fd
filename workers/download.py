"""Fetch a file by HTTP: straight to disk, and on from where an earlier attempt stopped."""

from __future__ import annotations

import hashlib
import http.client
import os
import re
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

from django.conf import settings

from workers.engine.errors import EngineError

BLOCK = 2**20
TIMEOUT_SECONDS = 60
RANGE_NOT_SATISFIABLE = 416
FORGOTTEN_SECONDS = 7 * 24 * 3600
SUFFIX = re.compile(r"(\.tar)?\.[A-Za-z0-9]{1,8}$")
PLAIN = "%/:=&?~+!$,;'@()*[]"
"""What an address may hold beside letters, digits and `_.-` (RFC 3986, section 2)."""


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
    # Not the address's own name, which could be any.
    suffix = SUFFIX.search(urlsplit(address).path)
    target = folder / f"archive{suffix[0] if suffix else ''}"
    if target.exists():
        return target
    part = _Part(folder)
    try:
        _receive(address, part, report, stop)
    except (OSError, http.client.HTTPException, UnicodeError) as error:
        if isinstance(error, urllib.error.HTTPError) and error.code == RANGE_NOT_SATISFIABLE:
            part.forget()
        raise EngineError(
            "download",
            f"The download of {address} failed: {error}.",
            "Check the address and this server's network, then press Resume: it goes on where it stopped.",
        ) from error
    os.replace(part.path, target)
    return target


def folder_for(address: str) -> Path:
    """Return where the file of this address waits for the next attempt, should one be interrupted."""
    return _downloads() / hashlib.sha256(address.encode()).hexdigest()


def forget_old() -> None:
    """Delete what this machine keeps of downloads that nobody has gone on with for a week."""
    for folder in _downloads().glob("*"):
        latest = max(path.stat().st_mtime for path in (folder, *folder.iterdir()))
        if time.time() - latest > FORGOTTEN_SECONDS:
            shutil.rmtree(folder, ignore_errors=True)


def _downloads() -> Path:
    folder: Path = settings.CACHE_FOLDER / "downloads"
    return folder


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
    request = urllib.request.Request(_ascii(address), headers=part.headers())  # noqa: S310 - the service takes http(s) alone
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


def _ascii(address: str) -> str:
    """Write an address as browsers do that has letters of other alphabets in it.

    Raises:
        UnicodeError: the host's name cannot be one.
    """
    parts = urlsplit(address)
    host = parts.netloc if parts.netloc.isascii() else parts.netloc.encode("idna").decode()
    return urlunsplit((parts.scheme, host, quote(parts.path, PLAIN), quote(parts.query, PLAIN), ""))
