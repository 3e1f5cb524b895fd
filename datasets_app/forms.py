"""What the forms of raw data and datasets hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from datasets_app.revisions import DataRevision
from edgewise.spec.dataset import DatasetParameters
from edgewise.web.forms import ParameterForm

TRY_KEYWORDS = "up, down, left, right, stop"


def dataset_form(
    defaults: Mapping[str, Any], values: Mapping[str, Any], errors: Mapping[str, str] | None = None
) -> ParameterForm:
    """Make the form of a dataset; `defaults` are what was read from the raw data."""
    bound = {"keywords": [], **defaults, **values}
    return ParameterForm(DatasetParameters, bound, defaults=defaults, errors=errors)


def words(data: DataRevision) -> list[tuple[str, int]]:
    """List the labels that can be keywords, with their clips."""
    return [(label, sum(splits.values())) for label, splits in data.label_counts().items()]


def split_words(text: str) -> list[str]:
    """Take words that were typed with commas or spaces between them."""
    return [word for word in text.replace(",", " ").split() if word]
