"""What the forms of raw data and datasets hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import QueryDict

from datasets_app.models import RawData
from edgewise.spec.dataset import DatasetParameters
from edgewise.spec.synthesis import SynthesisParameters
from edgewise.spec.words import split_words
from edgewise.web.forms import ParameterForm, read

TRY_KEYWORDS = "up, down, left, right, stop"


def dataset_form(
    defaults: Mapping[str, Any], values: Mapping[str, Any], errors: Mapping[str, str] | None = None
) -> ParameterForm:
    """Make the form of a dataset; `defaults` are what was read from the raw data."""
    bound = {"keywords": [], **defaults, **values}
    return ParameterForm(DatasetParameters, bound, defaults=defaults, errors=errors)


def words(raw_data: RawData) -> list[tuple[str, int]]:
    """List the labels that can be keywords, with their clips."""
    return sorted((label, sum(splits.values())) for label, splits in raw_data.label_counts.items())


def read_synthesis(posted: QueryDict) -> dict[str, Any]:
    """Take the parameters of a synthesis from its form; near misses are left out until the form has shown them."""
    hidden = [] if "near_misses_shown" in posted else ["near_misses"]
    values = read(SynthesisParameters, posted, without=["keywords", *hidden])
    return {**values, "keywords": split_words(posted.get("keywords", ""))}


def synthesis_form(values: Mapping[str, Any], errors: Mapping[str, str] | None = None) -> ParameterForm:
    """Make the form of a synthesis; its keywords are one text."""
    return ParameterForm(SynthesisParameters, values, errors=errors, without=["keywords", "near_misses"])
