"""Make the first administrator of a new installation."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from edgewise.accounts.models import User
from edgewise.accounts.services import create_administrator

EMAIL = "admin@localhost.localdomain"


class Command(BaseCommand):
    """Print the first administrator's password once; do nothing where there is an administrator already."""

    help = "Make the first administrator, with a random password that is printed once."

    def handle(self, *args: Any, **options: Any) -> None:
        if User.objects.filter(is_superuser=True).exists():
            return
        user, password = create_administrator(EMAIL)
        self.stdout.write("The first administrator (the password is shown this once):")
        self.stdout.write(f"  e-mail    {user.email}")
        self.stdout.write(f"  password  {password}")
