"""Errors for people: what happened, why, and what to do.

Services raise them; pages show them beside the form, the API answers them as problem+json (RFC 9457).
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager


class UserError(Exception):
    """Something that a user can understand and mend."""

    status = 400
    code = "invalid"

    def __init__(self, reason: str, remedy: str = "", *, fields: Mapping[str, str] | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy
        self.fields = dict(fields or {})

    @property
    def sentence(self) -> str:
        """Reason and remedy in one text."""
        return f"{self.reason} {self.remedy}".strip()


class Invalid(UserError):
    """Some values were wrong; `fields` says which and why."""

    def __init__(self, fields: Mapping[str, str], reason: str = "", remedy: str = "") -> None:
        super().__init__(reason or " ".join(fields.values()), remedy, fields=fields)


class Problems:
    """What is wrong with several values, gathered so that people hear all of it at once."""

    def __init__(self, fields: Mapping[str, str] | None = None) -> None:
        self.fields = dict(fields or {})

    @contextmanager
    def gathered(self) -> Iterator[None]:
        """Keep what is `Invalid` within, and go on."""
        try:
            yield
        except Invalid as error:
            self.fields |= error.fields

    def raise_any(self) -> None:
        """Raise what was gathered.

        Raises:
            Invalid: something was.
        """
        if self.fields:
            raise Invalid(self.fields)


class NotFound(UserError):
    """There is no such thing, or it belongs to somebody else: both look the same."""

    status = 404
    code = "not-found"

    def __init__(self, what: str) -> None:
        super().__init__(f"There is no such {what} in your workspace.", "It may have been deleted; look at the list.")


class Absent(UserError):
    """What was asked for has not been made, of something that is there."""

    status = 404
    code = "not-found"


class UnknownAddress(UserError):
    """The API has no such address."""

    status = 404
    code = "unknown-address"

    def __init__(self, path: str) -> None:
        super().__init__(f"The API has no address {path}.", "See /api/v1/docs for those that it has.")


class Forbidden(UserError):
    """The user may not do this."""

    status = 403
    code = "forbidden"


class Conflict(UserError):
    """The request contradicts what is there; `needed_by` lists what stands in the way."""

    status = 409
    code = "conflict"

    def __init__(self, reason: str, remedy: str = "", *, needed_by: Sequence[str] = ()) -> None:
        super().__init__(reason, remedy)
        self.needed_by = list(needed_by)


class Changed(UserError):
    """Somebody else edited it since it was read (`If-Match`)."""

    status = 412
    code = "changed"

    def __init__(self, name: str) -> None:
        super().__init__(f"“{name}” was changed since you read it.", "Read it again, then edit it by its new ETag.")


class TooLarge(UserError):
    """More than this server takes."""

    status = 413
    code = "too-large"


class QueueFull(UserError):
    """Too many jobs wait already."""

    status = 429
    code = "queue-full"


class WrongVersion(UserError):
    """The request does not speak the version of the protocol that this server speaks."""

    status = 412
    code = "wrong-version"


class WrongType(UserError):
    """The body is not of the type that this address takes."""

    status = 415
    code = "wrong-type"


class ChecksumMismatch(UserError):
    """What arrived is not what was sent (a status of the tus protocol)."""

    status = 460
    code = "checksum-mismatch"


class DiskFull(UserError):
    """The server has no room for this."""

    status = 507
    code = "disk-full"

    @classmethod
    def from_system(cls, error: Exception) -> Exception:
        """Return what people shall read instead of a full disk's own error; any other error as it is."""
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return cls("The server has no more room, so nothing was stored.", "Ask the operator to make room.")
        return error
