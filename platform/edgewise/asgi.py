"""The web's entry point."""

from __future__ import annotations

import os

from django.core.asgi import get_asgi_application

from edgewise.streaming import StreamedUploads

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "edgewise.settings")
application = StreamedUploads(get_asgi_application())
