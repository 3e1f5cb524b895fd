"""Logs: structured lines, JSON when nobody looks at a terminal."""

from __future__ import annotations

import sys
from typing import Any

import structlog

TALKATIVE = ("celery.beat", "celery.worker.strategy", "celery.app.trace")
"""They tell of every task, and there is one every five seconds."""


def configuration(level: str) -> dict[str, Any]:
    """Describe the logging of a process to `logging.config`."""
    shared: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: Any = structlog.dev.ConsoleRenderer() if sys.stderr.isatty() else structlog.processors.JSONRenderer()
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "structured": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": shared,
                "processors": [
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    structlog.processors.format_exc_info,
                    renderer,
                ],
            },
        },
        "handlers": {"standard_error": {"class": "logging.StreamHandler", "formatter": "structured"}},
        "root": {"handlers": ["standard_error"], "level": level},
        "loggers": {
            "django.server": {"handlers": [], "propagate": True},
            **({name: {"level": "WARNING"} for name in TALKATIVE} if level == "INFO" else {}),
        },
    }
