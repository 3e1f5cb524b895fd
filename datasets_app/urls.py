"""Addresses."""

from __future__ import annotations

from django.urls import path

from datasets_app import views
from datasets_app.explorer import views as explorer
from datasets_app.findings import views as findings

app_name = "datasets"
urlpatterns = [
    path("datasets/", views.dataset_list, name="list"),
    path("datasets/upload", views.upload, name="upload"),
    path("datasets/synthesize", views.synthesize, name="synthesize"),
    path("datasets/import-speech-commands", views.import_speech_commands, name="import_speech_commands"),
    path("datasets/raw/<uuid:raw_data_id>/", views.raw_data_page, name="raw"),
    path("datasets/raw/<uuid:raw_data_id>/heading", views.raw_data_heading, name="heading"),
    path("datasets/raw/<uuid:raw_data_id>/cancel", views.cancel_import, name="cancel_import"),
    path("datasets/raw/<uuid:raw_data_id>/delete", views.delete_raw_data, name="delete_raw"),
    path("datasets/raw/<uuid:raw_data_id>/new", views.new_dataset, name="new"),
    path("datasets/raw/<uuid:raw_data_id>/counts", views.label_counts, name="counts"),
    path("datasets/raw/<uuid:raw_data_id>/clips", explorer.clips, name="clips"),
    path("datasets/raw/<uuid:raw_data_id>/clips/edit", explorer.edit_clips, name="edit_clips"),
    path("datasets/raw/<uuid:raw_data_id>/edits", explorer.history, name="history"),
    path("datasets/raw/<uuid:raw_data_id>/edits/<uuid:edit_id>/undo", explorer.undo, name="undo"),
    path("datasets/raw/<uuid:raw_data_id>/findings/<slug:code>/exclude", findings.exclude, name="exclude_found"),
    path("datasets/<uuid:dataset_id>/rename", views.rename_dataset, name="rename"),
    path("datasets/<uuid:dataset_id>/delete", views.delete_dataset, name="delete"),
]
