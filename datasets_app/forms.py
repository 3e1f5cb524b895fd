"""What the forms of raw data and datasets hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from datasets_app.models import RawData
from datasets_app.revisions import DataRevision
from edgewise.spec.dataset import DatasetParameters
from edgewise.web.forms import ParameterForm

TRY_KEYWORDS = "up, down, left, right, stop"


def dataset_form(
    values: Mapping[str, Any],
    *,
    defaults: Mapping[str, Any] | None = None,
    errors: Mapping[str, str] | None = None,
    noise_sources: Iterable[RawData] = (),
) -> ParameterForm:
    """Make the form of a dataset; `defaults` are what was read from the raw data."""
    preferred = defaults or {}
    form = ParameterForm(DatasetParameters, {"keywords": [], **preferred, **values}, defaults=preferred, errors=errors)
    noise = form["noise"]
    choices = noise.parameter.choices | {str(row.pk): f"That of {row.name}" for row in noise_sources}
    form.fields["noise"] = replace(noise, parameter=replace(noise.parameter, choices=choices))
    return form


def words(data: DataRevision) -> list[tuple[str, int]]:
    """List the labels that can be keywords, with their clips."""
    return [(label, sum(splits.values())) for label, splits in data.label_counts().items()]


def split_words(text: str) -> list[str]:
    """Take words that were typed with commas or spaces between them."""
    return [word for word in text.replace(",", " ").split() if word]
