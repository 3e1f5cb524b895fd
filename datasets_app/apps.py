"""The datasets app."""

from __future__ import annotations

from django.apps import AppConfig


class DatasetsConfig(AppConfig):
    """Raw data and datasets."""

    name = "datasets_app"
