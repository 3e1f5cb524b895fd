"""The deploy app."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_delete


class DeployConfig(AppConfig):
    """Artifacts."""

    name = "deploy_app"

    def ready(self) -> None:
        """Let the files of artifacts go with their rows, also where a deleted run takes them along."""
        from deploy_app import services
        from deploy_app.models import Artifact

        def delete_file(instance: Artifact, **_: Any) -> None:
            services.delete_file(instance)

        post_delete.connect(delete_file, sender=Artifact, weak=False)
