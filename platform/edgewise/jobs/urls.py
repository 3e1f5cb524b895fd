"""Addresses."""

from __future__ import annotations

from django.urls import path

from edgewise.jobs import views

app_name = "status"
urlpatterns = [path("", views.page, name="page"), path("workers", views.workers, name="workers")]
