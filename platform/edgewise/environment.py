"""Settings from the environment: typed, with one loud line for a wrong value.

`NAME_FILE` may hold the path of a file with the value, as container secrets are given.
"""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured


def text(name: str, default: str | None = None) -> str:
    """Read a text; without a default it must be there."""
    value = _from_file(name) or os.environ.get(name, default)
    if value is None or (value == "" and default is None):
        raise ImproperlyConfigured(
            f"{name} is not set. Start Edgewise by ./edgewise, which sets it, or set it yourself."
        )
    return value


def _from_file(name: str) -> str:
    """Read the file that `NAME_FILE` names; empty where it names none.

    Raises:
        ImproperlyConfigured: the file cannot be read, or is empty.
    """
    path = os.environ.get(f"{name}_FILE")
    if not path:
        return ""
    try:
        value = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ImproperlyConfigured(f"{name}_FILE names {path}, which cannot be read: {error}.") from error
    if not value:
        raise ImproperlyConfigured(f"{name}_FILE names {path}, which is empty.")
    return value


def flag(name: str, default: bool) -> bool:
    """Read yes or no."""
    value = text(name, "yes" if default else "no").lower()
    if value in ("1", "yes", "true", "on"):
        return True
    if value in ("0", "no", "false", "off"):
        return False
    raise ImproperlyConfigured(f"{name} is {value!r}; it must be yes or no.")


def choice(name: str, default: str, choices: tuple[str, ...]) -> str:
    """Read one of several words."""
    value = text(name, default)
    if value not in choices:
        raise ImproperlyConfigured(f"{name} is {value!r}; it must be one of {', '.join(choices)}.")
    return value


def integer(name: str, default: int, minimum: int = 0) -> int:
    """Read a whole number of at least `minimum`."""
    value = text(name, str(default))
    if not value.isdecimal() or int(value) < minimum:
        raise ImproperlyConfigured(f"{name} is {value!r}; it must be a whole number of at least {minimum}.")
    return int(value)


def size(name: str, default: str) -> int:
    """Read a number of bytes, such as `500M` or `4G`."""
    value = text(name, default)
    short = value.upper().removesuffix("B")
    factor = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}.get(short[-1:], 1)
    digits = short if factor == 1 else short[:-1]
    if not digits.isdecimal():
        raise ImproperlyConfigured(f"{name} is {value!r}; it must be a size such as 500M or 4G.")
    return int(digits) * factor


def names(name: str, default: str) -> list[str]:
    """Read a comma-separated list."""
    return [item.strip() for item in text(name, default).split(",") if item.strip()]


def url(name: str, default: str | None, schemes: tuple[str, ...]) -> str:
    """Read an address of one of the given schemes."""
    value = text(name, default)
    if urlsplit(value).scheme not in schemes:
        raise ImproperlyConfigured(f"{name} must begin with one of {', '.join(f'{item}:' for item in schemes)}.")
    return value
