"""Import Speech Commands, or data in its layout, for every user."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.core.management.base import BaseCommand, CommandError

from datasets_app import services
from edgewise.accounts.models import User
from edgewise.accounts.services import give_personal_workspace
from edgewise.errors import UserError
from edgewise.jobs.follow import follow
from edgewise.jobs.models import State


class Command(BaseCommand):
    """Queue the import and show its progress until it has ended."""

    help = "Import Speech Commands from an archive, a folder or an http(s) address, for every user."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("location", metavar="PATH_OR_URL")

    def handle(self, *args: Any, location: str, **options: Any) -> None:
        user = User.objects.filter(is_superuser=True).order_by("date_joined").first()
        if user is None:
            raise CommandError("There is no administrator yet; start ./edgewise up once.")
        if urlsplit(location).scheme not in ("http", "https"):
            location = str(Path(location).resolve())
        try:
            raw_data = services.import_speech_commands(
                workspace=give_personal_workspace(user), user=user, location=location
            )
        except UserError as error:
            raise CommandError(error.sentence) from error
        job = follow(raw_data.import_job, f"Importing {raw_data.name}")
        if job.state != State.SUCCEEDED:
            raise CommandError(f"{job.failure_reason or job.message} {job.failure_remedy}".strip())
        raw_data.refresh_from_db()
        self.stdout.write(
            f"{raw_data.name}: {raw_data.clip_count:,} clips of {len(raw_data.label_counts)} words, "
            f"{raw_data.noise_count} of noise, {raw_data.problem_count} files that could not be used."
        )
