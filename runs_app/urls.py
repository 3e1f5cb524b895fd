"""Addresses."""

from __future__ import annotations

from django.urls import path

from runs_app import map_views, views

app_name = "runs"
urlpatterns = [
    path("runs/", views.run_list, name="list"),
    path("runs/new", views.new_run, name="new"),
    path("runs/preview", views.preview, name="preview"),
    path("datasets/<uuid:dataset_id>/examples", views.request_examples, name="request_examples"),
    path("datasets/<uuid:dataset_id>/examples/<uuid:preview_id>", views.examples, name="examples"),
    path("datasets/raw/<uuid:raw_data_id>/map", map_views.clip_map, name="map"),
    path("datasets/raw/<uuid:raw_data_id>/map/draw", map_views.draw, name="draw_map"),
    path("runs/<uuid:run_id>/map.json", map_views.chart, name="map_chart"),
    path("runs/projects/new", views.new_project, name="new_project"),
    path("runs/projects/<uuid:project_id>/rename", views.rename_project, name="rename_project"),
    path("runs/projects/<uuid:project_id>/delete", views.delete_project, name="delete_project"),
    path("runs/<uuid:run_id>/", views.detail, name="detail"),
    path("runs/<uuid:run_id>/configuration", views.configuration, name="configuration"),
    path("runs/<uuid:run_id>/progress", views.progress, name="progress"),
    path("runs/<uuid:run_id>/progress.json", views.progress_chart, name="progress_chart"),
    path("runs/<uuid:run_id>/results", views.results, name="results"),
    path("runs/<uuid:run_id>/matrix.json", views.matrix_chart, name="matrix_chart"),
    path("runs/<uuid:run_id>/detection.json", views.detection_chart, name="detection_chart"),
    path("runs/<uuid:run_id>/operating-point", views.operating_point, name="operating_point"),
    path("runs/<uuid:run_id>/clips", views.clips, name="clips"),
    path("runs/<uuid:run_id>/row", views.row, name="row"),
    path("runs/<uuid:run_id>/head", views.head, name="head"),
    path("runs/<uuid:run_id>/cancel", views.cancel, name="cancel"),
    path("runs/<uuid:run_id>/resume", views.resume, name="resume"),
    path("runs/<uuid:run_id>/rename", views.rename, name="rename"),
    path("runs/<uuid:run_id>/delete", views.delete, name="delete"),
]
