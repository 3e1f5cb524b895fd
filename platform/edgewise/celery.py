"""The Celery application. Tasks live in `workers/tasks.py`; web processes know them by name alone."""

from __future__ import annotations

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "edgewise.settings")

app = Celery("edgewise")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.imports = ["workers.tasks"]
