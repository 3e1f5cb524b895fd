"""All addresses: pages, APIs, health."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from edgewise import health

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="datasets:list"), name="home"),
    path("", include("datasets_app.urls")),
    path("", include("runs_app.urls")),
    path("", include("deploy_app.urls")),
    path("accounts/", include("allauth.urls")),
    path("account/", include("edgewise.accounts.urls")),
    path("oauth/", include("edgewise.accounts.device_urls")),
    path("gql", include("runs_app.graphql.urls")),
    path("status/", include("edgewise.jobs.urls")),
    path("api/v1/", include("edgewise.api.urls")),
    path("admin/", admin.site.urls),
    path("healthz", health.healthz),
    path("readyz", health.readyz),
]
