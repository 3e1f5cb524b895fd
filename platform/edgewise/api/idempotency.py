"""`Idempotency-Key`: a POST that is sent twice starts its work once.

The key is kept for a day in Redis under the workspace, with the answer of the first request. Redis sets it only where
it is new, so two requests at once cannot both begin.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from functools import cache, wraps
from typing import Any, TypeVar, cast

import redis
from django.conf import settings
from rest_framework.request import Request
from rest_framework.response import Response

from edgewise.api.authentication import workspace_of
from edgewise.api.problems import problem

View = TypeVar("View", bound=Callable[..., Response])
DAY = 24 * 3600


def idempotent(view: View) -> View:
    """Answer a repeated request with what the first one was answered."""

    @wraps(view)
    def wrapper(self: Any, request: Request, *args: Any, **kwargs: Any) -> Response:
        key = request.headers.get("Idempotency-Key", "")
        if not key:
            return view(self, request, *args, **kwargs)
        name = _name(request, key)
        if not _connection().set(name, "pending", nx=True, ex=DAY):
            return _repeat(name)
        try:
            response = view(self, request, *args, **kwargs)
        except BaseException:
            _connection().delete(name)
            raise
        _connection().set(name, json.dumps([response.status_code, response.data], default=str), ex=DAY)
        return response

    return cast(View, wrapper)


def _repeat(name: str) -> Response:
    stored = _connection().get(name)
    if stored is None or stored == b"pending":
        return problem(409, "in-progress", "The first request with this Idempotency-Key is still being answered.")
    status, data = json.loads(stored)
    return Response(data, status=status, headers={"Idempotency-Replayed": "true"})


def _name(request: Request, key: str) -> str:
    identity = f"{workspace_of(request).pk} {request.method} {request.path} {key}"
    return "edgewise:idempotency:" + hashlib.sha256(identity.encode()).hexdigest()


@cache
def _connection() -> redis.Redis:
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=5)
