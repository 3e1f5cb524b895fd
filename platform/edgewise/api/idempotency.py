"""`Idempotency-Key`: a POST that is sent twice starts its work once.

The key is kept for a day in Redis under the workspace, with a hash of what was asked and the answer of the first
request. Redis sets it only where it is new, so two requests at once cannot both begin. Until the answer is there it is
kept for minutes alone: a process that is killed meanwhile leaves a key with which the work can be asked for again.
Without Redis nothing is remembered, and requests are answered all the same.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache, wraps
from typing import Any, TypeVar, cast

import redis
from django.conf import settings
from django.core.files.base import File
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from edgewise.api.authentication import workspace_of
from edgewise.api.problems import problem

View = TypeVar("View", bound=Callable[..., Response])
LONGEST_REQUEST_SECONDS = 600
"""More than any request takes, even one that brings an archive of gigabytes to a distant store."""
DAY = 24 * 3600
log = logging.getLogger(__name__)
HEADER = OpenApiParameter(
    "Idempotency-Key", str, OpenApiParameter.HEADER, description="The same key with the same request starts work once."
)


def idempotent(view: View) -> View:
    """Answer a repeated request with what the first one was answered."""

    @wraps(view)
    def wrapper(self: Any, request: Request, *args: Any, **kwargs: Any) -> Response:
        key = request.headers.get("Idempotency-Key", "")
        if not key:
            return view(self, request, *args, **kwargs)
        name, asked = _name(request, key), _asked(request)
        try:
            is_first = _connection().set(name, json.dumps([asked]), nx=True, ex=LONGEST_REQUEST_SECONDS)
        except redis.RedisError:
            log.warning("Redis cannot be asked for an Idempotency-Key; the request is answered without.", exc_info=True)
            return view(self, request, *args, **kwargs)
        if not is_first:
            return _repeat(name, asked)
        try:
            response = view(self, request, *args, **kwargs)
        except BaseException:
            with suppress(redis.RedisError):
                _connection().delete(name)
            raise
        with suppress(redis.RedisError):
            answer = [asked, response.status_code, response.data]
            _connection().set(name, json.dumps(answer, default=str), ex=DAY)
        return response

    return cast(View, extend_schema(parameters=[HEADER])(wrapper))


def _repeat(name: str, asked: str) -> Response:
    stored = json.loads(_connection().get(name) or "[null]")
    if stored[0] not in (asked, None):
        return problem(
            422,
            "idempotency-key-reused",
            "This Idempotency-Key was sent before with another request.",
            remedy="Send each new request with a key of its own.",
        )
    if len(stored) == 1:
        return problem(409, "in-progress", "The first request with this Idempotency-Key is still being answered.")
    _, status, data = stored
    return Response(data, status=status, headers={"Idempotency-Replayed": "true"})


def _asked(request: Request) -> str:
    """Hash what was sent; of a file its name and size, since its bytes may have gone to a store already."""
    values = request.data.items() if isinstance(request.data, Mapping) else [("", request.data)]
    sent = [[name, [value.name, value.size] if isinstance(value, File) else value] for name, value in values]
    return hashlib.sha256(json.dumps(sent, sort_keys=True, default=str).encode()).hexdigest()


def _name(request: Request, key: str) -> str:
    identity = f"{workspace_of(request).pk} {request.method} {request.path} {key}"
    return "edgewise:idempotency:" + hashlib.sha256(identity.encode()).hexdigest()


@cache
def _connection() -> redis.Redis:
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=5)
