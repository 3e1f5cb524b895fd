"""The web and the workers, as the supervisor runs them."""

from __future__ import annotations

import http.client
import sys
from collections.abc import Mapping

from edgewise.launcher.paths import Home
from edgewise.launcher.supervisor import Program

# Programs stop from the highest stage down; the engines are stage 0.
_BEAT_STAGE = 1
_WORKER_STAGE = 2
_WEB_STAGE = 3

# How long open pages may hold up the end of the web: their event streams never end by themselves.
WEB_GRACE_SECONDS = 5


def web(environment: Mapping[str, str], bind: str, port: int) -> Program:
    """The ASGI server with pages, API and live events."""
    return Program(
        name="web",
        title="Web",
        command=[
            *(sys.executable, "-m", "uvicorn", "edgewise.asgi:application"),
            *("--host", bind, "--port", str(port), "--workers", "1"),
            *("--no-access-log", "--no-proxy-headers", "--lifespan", "off"),
            *("--timeout-graceful-shutdown", str(WEB_GRACE_SECONDS)),
        ],
        environment=environment,
        stage=_WEB_STAGE,
        is_ready=lambda: _answers(bind, port),
        ready_seconds=120.0,
    )


def workers(home: Home, environment: Mapping[str, str], light_threads: int) -> list[Program]:
    """One worker for each queue, and the clock that wakes them.

    Args:
        home: keeps the schedule of the clock.
        environment: with the addresses of the engines.
        light_threads: how many imports, checks and artifacts run at once.
    """
    return [
        _worker(environment, "train", 1),
        _worker(environment, "light", light_threads),
        # Its own, so that long jobs never hold up the recovery of others.
        _worker(environment, "maintenance", 1),
        Program(
            name="beat",
            title="Beat",
            command=[*_celery("beat"), "--schedule", home.run / "beat-schedule", "--loglevel", "INFO"],
            environment=environment,
            stage=_BEAT_STAGE,
        ),
    ]


def _worker(environment: Mapping[str, str], queue: str, threads: int) -> Program:
    return Program(
        name=queue,
        title=f"Worker {queue}",
        command=[
            *_celery("worker"),
            *("-Q", queue, "-n", f"{queue}@%h", "--pool", "threads", "--concurrency", str(threads)),
            # Workers learn about jobs from PostgreSQL; talk among themselves only delays their start.
            *("--without-gossip", "--without-mingle", "--loglevel", "INFO"),
        ],
        environment=environment,
        stage=_WORKER_STAGE,
    )


def _celery(command: str) -> list[str]:
    return [sys.executable, "-m", "celery", "-A", "edgewise", command]


def local_address(bind: str, port: int) -> str:
    """The web's address for a browser on this machine."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(bind, bind)  # noqa: S104 - compared, not bound
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _answers(bind: str, port: int) -> bool:
    """Whether the web answers its health check."""
    connection = http.client.HTTPConnection(local_address(bind, port).removeprefix("http://"), timeout=3)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
