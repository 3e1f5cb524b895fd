"""The one address of the interface."""

from __future__ import annotations

from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from runs_app.graphql.schema import schema
from runs_app.graphql.views import BearerGraphQLView

urlpatterns = [
    path("", csrf_exempt(require_POST(BearerGraphQLView.as_view(schema=schema, graphql_ide=None))), name="graphql"),
]
