"""How pages write runs and what they made of clips."""

from __future__ import annotations

from typing import Any

from django import template

from datasets_app.models import Dataset
from edgewise.lookup import as_id
from runs_app import forms, previews
from runs_app.models import Prediction, Run
from runs_app.services import DEFAULT_NETWORK, prefill_run

register = template.Library()

SCORES_SHOWN = 3
RUNS_OFFERED = 5


@register.filter
def network_name(run: Run) -> str:
    """Name the network of a run."""
    network = run.parameters["network"]
    return network if isinstance(network, str) else "custom network"


@register.inclusion_tag("runs/examples_form.html", takes_context=True)
def training_examples(context: dict[str, Any], dataset: Dataset) -> dict[str, Any]:
    """Let people hear what a network would: with the defaults, or as a run or an earlier request of the address."""
    asked = context["request"].GET
    run = dataset.runs.filter(pk=as_id(asked["run"])).first() if "run" in asked else None
    preview = dataset.previews.filter(pk=as_id(asked["preview"])).first() if "preview" in asked else None
    defaults = prefill_run(dataset, run.parameters["network"] if run else DEFAULT_NETWORK)
    values = preview.parameters if preview else run.parameters if run else {}
    return {
        "dataset": dataset, "run": run, "choices": context["runs"][:RUNS_OFFERED],
        "form": forms.examples_form(defaults, values), "preview": preview,
        "examples": previews.examples(preview) if preview else [],
    }  # fmt: skip


@register.filter
def share(part: float, whole: float) -> str:
    """Write how large a part is of the whole."""
    percentage = 100 * part / whole
    return f"{percentage:.0f}%" if percentage >= 1 else "< 1%"


@register.filter
def best_scores(prediction: Prediction, labels: list[str]) -> list[tuple[str, float]]:
    """The labels that a run found most probable."""
    scored = zip(labels, prediction.scores, strict=True)
    return sorted(scored, key=lambda pair: -pair[1])[:SCORES_SHOWN]
