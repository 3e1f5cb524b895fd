"""Make the first administrator of a new installation."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from edgewise.accounts.models import User
from edgewise.accounts.services import first_administrator, set_random_password


class Command(BaseCommand):
    """Print the first administrator's password once; do nothing where one can sign in already."""

    help = "Make the first administrator, with a random password that is printed once."

    def handle(self, *args: Any, **options: Any) -> None:
        if any(user.has_usable_password() for user in User.objects.filter(is_superuser=True)):
            return
        user = first_administrator()
        self.stdout.write("The first administrator (the password is shown this once):")
        self.stdout.write(f"  e-mail    {user.email}")
        self.stdout.write(f"  password  {set_random_password(user)}")
