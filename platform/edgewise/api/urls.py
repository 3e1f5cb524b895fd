"""Addresses of the API: each app brings its own resources, named here by string so that the walls stand."""

from __future__ import annotations

from django.urls import include, path, re_path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.routers import SimpleRouter

from edgewise.api import views
from edgewise.api.live import workspace_events

router = SimpleRouter(trailing_slash=False)
router.register("tokens", views.Tokens, basename="token")
router.register("workers", views.Workers, basename="worker")
router.register("workspaces", views.Workspaces, basename="workspace")

urlpatterns = [
    path("", include(router.urls)),
    path("", include("datasets_app.api")),
    path("", include("runs_app.api")),
    path("", include("deploy_app.api")),
    path("me", views.Me.as_view(), name="me"),
    path("parameters", views.Parameters.as_view(), name="parameters"),
    path("events", workspace_events, name="events"),
    path("schema", SpectacularAPIView.as_view(), name="schema"),
    path("docs", SpectacularSwaggerSplitView.as_view(url_name="schema"), name="docs"),
    re_path("", views.Elsewhere.as_view()),
]
