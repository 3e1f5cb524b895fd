"""Addresses."""

from __future__ import annotations

from django.urls import path

from datasets_app import views
from datasets_app.explorer import views as explorer
from datasets_app.findings import views as findings
from datasets_app.recording import views as recording

app_name = "datasets"
urlpatterns = [
    path("datasets/", views.dataset_list, name="list"),
    path("datasets/upload", views.upload, name="upload"),
    path("datasets/synthesize", views.synthesize, name="synthesize"),
    path("datasets/synthesize/preview", views.preview_speech, name="preview_speech"),
    path("datasets/synthesize/preview/<uuid:preview_id>", views.speech_preview, name="speech_preview"),
    path(
        "datasets/synthesize/preview/<uuid:preview_id>/audio", views.speech_preview_audio, name="speech_preview_audio"
    ),
    path("datasets/record", recording.begin, name="begin_recording"),
    path("datasets/raw/<uuid:raw_data_id>/record", recording.page, name="record"),
    path("datasets/raw/<uuid:raw_data_id>/record/words", recording.add_words, name="add_words"),
    path("datasets/raw/<uuid:raw_data_id>/record/finish", recording.finish, name="finish_recording"),
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
    path("datasets/<uuid:dataset_id>/", views.dataset_page, name="detail"),
    path("datasets/raw/<uuid:raw_data_id>/findings/<slug:code>/exclude", findings.exclude, name="exclude_found"),
    path("datasets/<uuid:dataset_id>/rename", views.rename_dataset, name="rename"),
    path("datasets/<uuid:dataset_id>/delete", views.delete_dataset, name="delete"),
]
