"""The address of the server that mails are sent by."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

SCHEMES = ("console", "smtp", "smtp+starttls", "smtps")
SUBMISSION_PORT = 587
PORTS = {"smtp": 25, "smtp+starttls": SUBMISSION_PORT, "smtps": 465}


@dataclass(frozen=True)
class MailServer:
    """How mails are sent."""

    backend: str
    host: str
    port: int
    user: str
    password: str
    starts_tls: bool
    """Whether the connection begins in the clear and is encrypted then."""
    speaks_tls: bool
    """Whether it is encrypted from its beginning."""

    @classmethod
    def of(cls, address: str) -> MailServer:
        """Read an address: `smtps://user:password@host`, its user and password quoted as in every address.

        On port 587 connections begin in the clear whatever the scheme says (RFC 6409), so there `smtps` means STARTTLS.
        """
        parts = urlsplit(address)
        port = parts.port or PORTS.get(parts.scheme, 0)
        starts_tls = parts.scheme == "smtp+starttls" or port == SUBMISSION_PORT
        backend = "console" if parts.scheme == "console" else "smtp"
        return cls(
            backend=f"django.core.mail.backends.{backend}.EmailBackend",
            host=parts.hostname or "localhost",
            port=port,
            user=unquote(parts.username or ""),
            password=unquote(parts.password or ""),
            starts_tls=starts_tls,
            speaks_tls=parts.scheme == "smtps" and not starts_tls,
        )
