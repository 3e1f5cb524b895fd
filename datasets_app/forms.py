"""What the forms of raw data and datasets hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from django.http import QueryDict

from datasets_app.models import RawData
from datasets_app.revisions import DataRevision
from edgewise.spec.dataset import DatasetParameters
from edgewise.spec.synthesis import SynthesisParameters
from edgewise.spec.words import split_words
from edgewise.web.forms import ParameterForm, read

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


def read_synthesis(posted: QueryDict) -> dict[str, Any]:
    """Take the parameters of a synthesis from its form; near misses are left out until the form has shown them."""
    hidden = [] if "near_misses_shown" in posted else ["near_misses"]
    values = read(SynthesisParameters, posted, without=["keywords", *hidden])
    return {**values, "keywords": split_words(posted.get("keywords", ""))}


def synthesis_form(values: Mapping[str, Any], errors: Mapping[str, str] | None = None) -> ParameterForm:
    """Make the form of a synthesis; its keywords are one text."""
    return ParameterForm(SynthesisParameters, values, errors=errors, without=["keywords", "near_misses"])
