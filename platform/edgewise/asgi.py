"""The web's entry point."""

from __future__ import annotations

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "edgewise.settings")
django_application = get_asgi_application()


async def application(scope: dict[str, object], receive: object, send: object) -> None:
    """Serve HTTP by Django; nothing has to happen at start or stop."""
    if scope["type"] == "http":
        await django_application(scope, receive, send)  # type: ignore[arg-type]
