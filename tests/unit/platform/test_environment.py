"""A wrong value of the environment is one loud line."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from edgewise import environment


def test_a_secret_may_lie_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = tmp_path / "secret"
    secret.write_text("long and random\n")
    monkeypatch.setenv("EDGEWISE_SECRET_KEY_FILE", str(secret))
    assert environment.text("EDGEWISE_SECRET_KEY") == "long and random"


@pytest.mark.parametrize(("content", "reason"), [(None, "cannot be read"), ("\n", "is empty")])
def test_a_file_without_a_value_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None, reason: str
) -> None:
    secret = tmp_path / "secret"
    if content is not None:
        secret.write_text(content)
    monkeypatch.setenv("EDGEWISE_SECRET_KEY_FILE", str(secret))
    with pytest.raises(ImproperlyConfigured, match=f"EDGEWISE_SECRET_KEY_FILE names .* {reason}"):
        environment.text("EDGEWISE_SECRET_KEY")
