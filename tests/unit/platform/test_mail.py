"""Mails go the way that the address says."""

from __future__ import annotations

import pytest

from edgewise.mail import MailServer


@pytest.mark.parametrize(
    ("address", "port", "starts_tls", "speaks_tls"),
    [
        ("smtp://host", 25, False, False),
        ("smtp://host:587", 587, True, False),
        ("smtp+starttls://host", 587, True, False),
        ("smtp+starttls://host:25", 25, True, False),
        ("smtps://host", 465, False, True),
        ("smtps://host:587", 587, True, False),
    ],
)
def test_the_scheme_says_how_a_connection_is_encrypted(
    address: str, port: int, starts_tls: bool, speaks_tls: bool
) -> None:
    server = MailServer.of(address)
    assert (server.port, server.starts_tls, server.speaks_tls) == (port, starts_tls, speaks_tls)


def test_user_and_password_may_hold_any_character() -> None:
    server = MailServer.of("smtps://me%40example.org:p%2Fq%3A@host")
    assert (server.user, server.password, server.host) == ("me@example.org", "p/q:", "host")
