"""How django-allauth makes accounts here."""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.conf import settings
from django.http import HttpRequest


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """Let people sign up unless the operator closed it."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Say whether strangers may make accounts."""
        return bool(settings.SIGNUP_OPEN)

    def populate_username(self, request: HttpRequest, user: Any) -> None:
        """Users have no name but their e-mail."""
