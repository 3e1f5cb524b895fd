"""The deploy app."""

from __future__ import annotations

from django.apps import AppConfig


class DeployConfig(AppConfig):
    """Artifacts."""

    name = "deploy_app"
