"""Parts of a file by HTTP ranges (RFC 9110, section 14): players seek by them, downloads go on by them."""

from __future__ import annotations

import re

from django.http import HttpRequest, HttpResponse
from rest_framework.request import Request

RANGE = re.compile(r"bytes=(\d*)-(\d*)$")


def ranged(request: HttpRequest | Request, content: bytes, content_type: str) -> HttpResponse:
    """Answer `content`, or the one range of it that was asked for."""
    size = len(content)
    wanted = RANGE.match(request.headers.get("Range", ""))
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
