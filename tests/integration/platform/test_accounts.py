"""Accounts as people use them: sign-up, sign-in, password reset, the first administrator."""

from __future__ import annotations

import re

import pytest
from django.core import mail
from django.core.management import call_command
from django.test import Client
from pytest_django import Settings

from edgewise.accounts.models import Membership, User, Workspace
from edgewise.accounts.services import create_token, first_administrator, give_personal_workspace
from edgewise.errors import Invalid

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery"


def test_signing_up_signs_in_and_gives_a_workspace(client: Client) -> None:
    answer = client.post("/accounts/signup/", {"email": "new@example.org", "password1": PASSWORD})
    assert answer.status_code == 302
    assert client.get("/datasets/").status_code == 200
    assert Membership.objects.get(user__email="new@example.org").workspace.personal


def test_a_workspace_is_made_once(alice: User) -> None:
    assert give_personal_workspace(alice) == give_personal_workspace(alice)
    assert Workspace.objects.count() == 1


def test_people_with_long_addresses_have_a_workspace_too(db: None) -> None:
    user = User.objects.create_user(f"{'a' * 60}@{'long.' * 20}example.org", PASSWORD)
    name = give_personal_workspace(user).name
    assert len(name) == 100
    assert name.endswith("'s workspace")


def test_a_token_with_a_long_name_is_refused(alice: User) -> None:
    with pytest.raises(Invalid, match="at most 100 characters"):
        create_token(alice, give_personal_workspace(alice), "n" * 101)


def test_closed_sign_up_makes_no_account(client: Client, settings: Settings) -> None:
    settings.SIGNUP_OPEN = False
    client.post("/accounts/signup/", {"email": "new@example.org", "password1": PASSWORD})
    assert not User.objects.filter(email="new@example.org").exists()


def test_a_wrong_password_does_not_sign_in(client: Client, alice: User) -> None:
    answer = client.post("/accounts/login/", {"login": alice.email, "password": "wrong"})
    assert answer.status_code == 200
    assert "_auth_user_id" not in client.session


def test_a_forgotten_password_is_reset_by_mail(client: Client, alice: User) -> None:
    client.post("/accounts/password/reset/", {"email": alice.email})
    found = re.search(r"http://testserver(/accounts/password/reset/key/\S+)", mail.outbox[0].body)
    assert found
    form = client.get(found[1], follow=True)
    new = "another battery staple"
    client.post(form.request["PATH_INFO"], {"password1": new, "password2": new})
    assert client.login(email=alice.email, password=new)


def test_pages_ask_strangers_to_sign_in(client: Client) -> None:
    answer = client.get("/datasets/")
    assert answer.status_code == 302
    assert answer.url.startswith("/accounts/login/")  # type: ignore[attr-defined]


def test_who_runs_the_demo_first_finds_it_when_signed_in(capsys: pytest.CaptureFixture[str], client: Client) -> None:
    owner = first_administrator()
    call_command("ensure_first_administrator")
    shown = re.search(r"^  password  (\S+)$", capsys.readouterr().out, re.MULTILINE)
    assert shown
    assert client.login(email=owner.email, password=shown[1])
    assert User.objects.count() == 1
    assert first_administrator() == owner


def test_the_first_administrator_is_made_once(capsys: pytest.CaptureFixture[str], client: Client) -> None:
    call_command("ensure_first_administrator")
    shown = re.search(r"^  password  (\S+)$", capsys.readouterr().out, re.MULTILINE)
    assert shown
    assert client.login(email="admin@localhost.localdomain", password=shown[1])
    call_command("ensure_first_administrator")
    assert capsys.readouterr().out == ""
