"""The document of parameters is made from their declarations."""

from __future__ import annotations

from edgewise.spec.document import TARGET, render


def test_the_document_is_up_to_date() -> None:
    assert TARGET.read_text(encoding="utf-8") == render(), "run: python -m edgewise.spec.document"
