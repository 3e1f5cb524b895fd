"""Health of the web process and of what it needs, for operators and orchestrators."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import redis
from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse

from edgewise.ids import new_id
from edgewise.jobs.context import idle_queues

log = logging.getLogger(__name__)


def healthz(request: HttpRequest) -> JsonResponse:
    """Say that this process answers."""
    return JsonResponse({"status": "ok"})


def readyz(request: HttpRequest) -> JsonResponse:
    """Say whether everything is there that requests need."""
    checks = readiness()
    ready = all(check["ok"] for name, check in checks.items() if name != "workers")
    return JsonResponse({"status": "ok" if ready else "unavailable", "checks": checks}, status=200 if ready else 503)


def readiness() -> dict[str, dict[str, Any]]:
    """Check database, migrations, queue, store and workers: `ok`, and what is wrong."""
    return {
        "database": _check(_database),
        "migrations": _check(_migrations),
        "redis": _check(_redis),
        "store": _check(_store),
        "workers": _check(_workers),
    }


def _check(probe: Callable[[], str]) -> dict[str, Any]:
    try:
        problem = probe()
    except Exception as error:  # whatever a client of a service raises, it tells that the service is not well
        log.warning("A check of the health failed.", exc_info=True)
        problem = next(iter(str(error).splitlines()), type(error).__name__)
    return {"ok": not problem, **({"problem": problem} if problem else {})}


def _database() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return ""


def _migrations() -> str:
    executor = MigrationExecutor(connection)
    missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return f"{len(missing)} migrations are not applied; run ./edgewise manage migrate." if missing else ""


def _redis() -> str:
    redis.Redis.from_url(settings.REDIS_URL, socket_timeout=2).ping()
    return ""


def _store() -> str:
    name = default_storage.save(f"health/{new_id()}", ContentFile(b"ok"))
    default_storage.delete(name)
    return ""


def _workers() -> str:
    idle = idle_queues()
    return f"No worker takes work from: {', '.join(idle)}." if idle else ""
