"""Parts of a file by HTTP ranges (RFC 9110, section 14): players seek by them, downloads go on by them."""

from __future__ import annotations

import re

from django.http import HttpRequest, HttpResponse
from rest_framework.request import Request

RANGE = re.compile(r"bytes=(\d*)-(\d*)$")


def ranged(request: HttpRequest | Request, content: bytes, content_type: str, etag: str = "") -> HttpResponse:
    """Answer `content`, or the one range of it that was asked for.

    Args:
        etag: entity tag of the content, in quotes; a range of other content (`If-Range`) is answered with the whole.
    """
    size = len(content)
    is_same = request.headers.get("If-Range", etag) == etag
    wanted = RANGE.match(request.headers.get("Range", "")) if is_same else None
    response = HttpResponse(content, content_type=content_type)
    if wanted and any(wanted.groups()):
        first, last = _bounds(wanted[1], wanted[2], size)
        if first > last or first >= size:
            return HttpResponse(status=416, headers={"Content-Range": f"bytes */{size}"})
        response = HttpResponse(content[first : last + 1], content_type=content_type, status=206)
        response["Content-Range"] = f"bytes {first}-{last}/{size}"
    response["Accept-Ranges"] = "bytes"
    return response


def _bounds(first: str, last: str, size: int) -> tuple[int, int]:
    if not first:
        return max(0, size - int(last)), size - 1
    return int(first), min(int(last), size - 1) if last else size - 1
