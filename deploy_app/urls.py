"""Addresses."""

from __future__ import annotations

from django.urls import path

from deploy_app import try_views, views

app_name = "deploy"
urlpatterns = [
    path("runs/<uuid:run_id>/deploy", views.page, name="page"),
    path("runs/<uuid:run_id>/try", try_views.page, name="try"),
    path("runs/<uuid:run_id>/try/prepared", try_views.prepared, name="prepared"),
    path("artifacts/<uuid:artifact_id>/", views.build, name="build"),
    path("artifacts/<uuid:artifact_id>/proof", views.proof, name="proof"),
    path("artifacts/<uuid:artifact_id>/cancel", views.cancel, name="cancel"),
    path("artifacts/<uuid:artifact_id>/delete", views.delete, name="delete"),
]
