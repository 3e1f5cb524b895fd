"""Letting a program in by a code (RFC 8628), as the original's client does it."""

from __future__ import annotations

import datetime
import re
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from edgewise.accounts.models import ApiToken, DeviceLogin, Scope, User, Workspace
from tests.original_client import GRANT, AuthenticationError, log_in

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def fresh_limits() -> None:
    """How often something was done lies in the cache, which outlives a test."""
    cache.clear()


def post(address: str, form: dict[str, str]) -> tuple[int, Any]:
    """Send a form as a program does: without cookies, and without a CSRF token."""
    answer = Client(enforce_csrf_checks=True).post(address, form)
    return answer.status_code, answer.json()


def begin(scope: str = "read write") -> dict[str, Any]:
    return dict(post("/oauth/device/code", {"client_id": "my-notebook", "scope": scope})[1])


def ask(codes: dict[str, Any], **changes: str) -> tuple[int, str]:
    form = {"grant_type": GRANT, "device_code": codes["device_code"], "client_id": "my-notebook", **changes}
    status, answer = post("/oauth/token", form)
    return status, answer.get("error", "")


def answer(browser: Client, codes: dict[str, Any], what: str) -> int:
    return browser.post("/oauth/device", {"user_code": codes["user_code"], "answer": what}).status_code


def test_the_original_client_gets_a_token_once_its_user_has_allowed_it(browser: Client, workspace: Workspace) -> None:
    visits = []

    def look_then_allow(address: str) -> None:
        page = browser.get(address)
        visits.append(page.status_code)
        assert "my-notebook" in page.text
        if len(visits) == 2:
            code = re.search(r'name="user_code" value="(\w+)"', page.text)
            assert code
            browser.post("/oauth/device", {"user_code": code[1], "answer": "allow"})

    token = log_in(post, look_then_allow)
    assert visits == [200, 200]
    script = APIClient()
    script.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    assert [row["id"] for row in script.get("/api/v1/workspaces").json()] == [str(workspace.pk)]
    assert script.post("/api/v1/projects", {"name": "By the token"}).status_code == 201


def test_the_token_is_listed_and_can_be_revoked(browser: Client) -> None:
    token = log_in(post, lambda address: _allow(browser, address))
    assert "my-notebook (signed in by code)" in browser.get("/account/").text
    browser.post(f"/account/tokens/{ApiToken.objects.get().pk}/revoke")
    assert Client().get("/api/v1/me", headers={"Authorization": f"Bearer {token}"}).status_code == 401


def test_a_program_that_only_reads_gets_a_token_that_only_reads(browser: Client) -> None:
    codes = begin("read")
    answer(browser, codes, "allow")
    assert ask(codes) == (200, "")
    assert ApiToken.objects.get().scope == Scope.READ


def test_a_refused_program_hears_so_and_gets_nothing(browser: Client) -> None:
    with pytest.raises(AuthenticationError, match="access_denied"):
        log_in(post, lambda address: _answer(browser, address, "deny"))
    assert not ApiToken.objects.exists()


def test_a_code_is_pending_then_good_for_one_token(browser: Client) -> None:
    codes = begin()
    assert ask(codes) == (403, "authorization_pending")
    assert answer(browser, codes, "allow") == 200
    assert ask(codes) == (200, "")
    assert ask(codes) == (400, "invalid_grant")
    assert ApiToken.objects.count() == 1


def test_a_code_cannot_be_answered_twice(browser: Client) -> None:
    codes = begin()
    assert answer(browser, codes, "deny") == 200
    assert answer(browser, codes, "allow") == 404
    assert ask(codes) == (400, "access_denied")


def test_what_nobody_allowed_in_time_expires(browser: Client) -> None:
    codes = begin()
    answer(browser, codes, "allow")
    DeviceLogin.objects.update(expires_at=timezone.now() - datetime.timedelta(seconds=1))
    assert ask(codes) == (400, "expired_token")
    assert answer(browser, begin_expired(), "allow") == 404


def begin_expired() -> dict[str, Any]:
    codes = begin()
    DeviceLogin.objects.update(expires_at=timezone.now() - datetime.timedelta(seconds=1))
    return codes


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"device_code": "guessed"}, "invalid_grant"),
        ({"client_id": "another-program"}, "invalid_grant"),
        ({"grant_type": "client_credentials"}, "unsupported_grant_type"),
    ],
)
def test_a_wrong_request_gets_no_token(browser: Client, changes: dict[str, str], error: str) -> None:
    codes = begin()
    answer(browser, codes, "allow")
    assert ask(codes, **changes) == (400, error)


@pytest.mark.parametrize("name", ["", "n" * 101])
def test_a_program_says_what_it_is(name: str) -> None:
    status, problem = post("/oauth/device/code", {"client_id": name})
    assert (status, problem["error"]) == (400, "invalid_request")
    assert "client_id" in problem["error_description"]


def test_a_stranger_signs_in_first_and_comes_back_to_the_code() -> None:
    codes = begin()
    page = Client().get("/oauth/device", {"user_code": codes["user_code"]})
    assert page.status_code == 302
    assert f"user_code%3D{codes['user_code']}" in page.headers["Location"]


def test_a_page_of_another_site_cannot_answer(alice: User) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(alice)
    codes = begin()
    assert answer(strict, codes, "allow") == 403
    assert ask(codes) == (403, "authorization_pending")


def test_a_code_can_be_typed_as_people_type(browser: Client) -> None:
    typed = begin()["user_code"].lower().replace("-", " ")
    assert "my-notebook" in browser.get("/oauth/device", {"user_code": typed}).text
    assert 'name="user_code"' in browser.get("/oauth/device").text


def test_codes_cannot_be_guessed_at_leisure(browser: Client) -> None:
    tried = [browser.get("/oauth/device", {"user_code": "BCDFGHJK"}).status_code for _ in range(21)]
    assert tried == [404] * 20 + [429]
    asked = [post("/oauth/device/code", {"client_id": "flood"})[0] for _ in range(21)]
    assert asked == [200] * 20 + [429]


def test_nothing_of_it_is_kept_by_caches_or_readable_in_the_database() -> None:
    reply = Client().post("/oauth/device/code", {"client_id": "my-notebook"})
    assert "no-store" in reply.headers["Cache-Control"]
    stored = DeviceLogin.objects.values_list("digest", "user_code", "client_id").get()
    assert reply.json()["device_code"] not in stored


def _allow(browser: Client, address: str) -> None:
    _answer(browser, address, "allow")


def _answer(browser: Client, address: str, what: str) -> None:
    browser.post("/oauth/device", {"user_code": address.partition("user_code=")[2], "answer": what})
