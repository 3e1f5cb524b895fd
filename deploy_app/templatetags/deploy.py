"""The way to the Deploy page, or why there is none yet; and how the client runs what was downloaded."""

from __future__ import annotations

from typing import Any

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from deploy_app import services
from edgewise.spec import client
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


@register.simple_tag
def of_format(chosen: str, *formats: str) -> SafeString:
    """Mark what belongs to some formats: deploy.js shows it with any of them, and hides it with all others."""
    hidden = "" if chosen in formats else " hidden"
    return format_html('data-format="{}"{}', " ".join(formats), hidden)


@register.simple_tag
def client_installation() -> str:
    """Say how the client is installed."""
    return client.INSTALLATION


@register.simple_tag
def client_program(runner: str) -> str:
    """Write a program that runs an artifact by a class of the client."""
    return client.program(runner)


@register.simple_tag
def board_program(run: Run, runner: str, drive: str) -> str:
    """Write a program that lets a board hear a clip, by a class of the client and the name of the board's drive."""
    samples = run.settings.preprocessing.heard_samples(run.dataset.recipe.clip_samples)
    return client.board_program(runner, drive, samples, run.labels)


@register.simple_tag
def coral_program(run: Run) -> str:
    """Write a program that lets a Coral Dev Board hear a clip."""
    return client.coral_program(run.labels)
