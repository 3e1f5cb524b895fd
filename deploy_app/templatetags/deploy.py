"""The way to the Deploy page, or why there is none yet."""

from __future__ import annotations

from typing import Any

from django import template

from deploy_app import services
from runs_app.models import Run

register = template.Library()


@register.inclusion_tag("deploy/icon.html")
def deploy_icon(run: Run) -> dict[str, Any]:
    """Show the Deploy icon of a row, greyed with the reason until there is something to deploy."""
    return {"run": run, "why_not": services.why_not_deployable(run)}


@register.inclusion_tag("deploy/button.html")
def deploy_button(run: Run) -> dict[str, Any]:
    """Show the Deploy button of a run."""
    return {"run": run, "why_not": services.why_not_deployable(run)}
