"""Addresses."""

from __future__ import annotations

from django.urls import path

from edgewise.accounts import views

app_name = "account"
urlpatterns = [
    path("", views.page, name="page"),
    path("tokens/new", views.new_token, name="new_token"),
    path("tokens/<uuid:token_id>/revoke", views.revoke_token, name="revoke_token"),
]
