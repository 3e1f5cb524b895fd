"""How pages write runs and what they made of clips."""

from __future__ import annotations

from django import template

from runs_app.models import Prediction, Run

register = template.Library()

SCORES_SHOWN = 3


@register.filter
def network_name(run: Run) -> str:
    """Name the network of a run."""
    network = run.parameters["network"]
    return network if isinstance(network, str) else "custom network"


@register.filter
def stretch(prediction: Prediction) -> str:
    """Say which part of the recording was heard, where it was not all of it (a cut out of noise)."""
    clip = prediction.clip
    if (prediction.offset, prediction.length) == (clip.offset, clip.length):
        return ""
    start = (prediction.offset - clip.offset) / clip.sample_rate
    return f"#t={start:.3f},{start + prediction.length / clip.sample_rate:.3f}"


@register.filter
def best_scores(prediction: Prediction, labels: list[str]) -> list[tuple[str, float]]:
    """The labels that a run found most probable."""
    scored = zip(labels, prediction.scores, strict=True)
    return sorted(scored, key=lambda pair: -pair[1])[:SCORES_SHOWN]
