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
def share(part: float, whole: float) -> str:
    """Write how large a part is of the whole."""
    percentage = 100 * part / whole
    return f"{percentage:.0f} %" if percentage >= 1 else "< 1 %"


@register.filter
def audio_address(prediction: Prediction) -> str:
    """Where to hear what was heard: of a recording of noise only a stretch was."""
    clip = prediction.clip
    address = f"/api/v1/raw-data/{clip.raw_data_id}/clips/{clip.pk}/audio"
    return f"{address}?offset={prediction.offset}&length={prediction.length}"


@register.filter
def best_scores(prediction: Prediction, labels: list[str]) -> list[tuple[str, float]]:
    """The labels that a run found most probable."""
    scored = zip(labels, prediction.scores, strict=True)
    return sorted(scored, key=lambda pair: -pair[1])[:SCORES_SHOWN]
