"""Reading what an address names: nothing that somebody types there is an error of the server."""

from __future__ import annotations

import pytest

from edgewise.lookup import as_number


@pytest.mark.parametrize(
    ("text", "number"), [("0", 0), ("60", 60), ("", None), ("-1", None), ("x", None), ("9" * 5000, None)]
)
def test_a_number_is_read_or_is_none(text: str, number: int | None) -> None:
    assert as_number(text) == number
