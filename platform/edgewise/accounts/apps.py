"""The accounts app."""

from __future__ import annotations

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Users and what they share."""

    name = "edgewise.accounts"
    label = "accounts"
