"""Addresses of the device login, where programs and their users look for them."""

from __future__ import annotations

from django.urls import path

from edgewise.accounts import device_views

app_name = "device"
urlpatterns = [
    path("device", device_views.page, name="page"),
    path("device/code", device_views.code, name="code"),
    path("token", device_views.token, name="token"),
]
