"""What the form of the Deploy page holds."""

from __future__ import annotations

from typing import Any

from django.http import QueryDict

OPTION = "option-"


def read_options(posted: QueryDict, format_name: str) -> dict[str, Any]:
    """Take the options of the chosen format; those of the others stand in the form too."""
    prefix = f"{OPTION}{format_name}-"
    return {name.removeprefix(prefix): value for name, value in posted.items() if name.startswith(prefix)}
