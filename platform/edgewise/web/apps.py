"""The shared parts of the pages."""

from __future__ import annotations

from django.apps import AppConfig


class WebConfig(AppConfig):
    """Template tags, forms and responses."""

    name = "edgewise.web"
    label = "web"
