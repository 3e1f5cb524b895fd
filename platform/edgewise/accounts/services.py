"""What users do with their account."""

from __future__ import annotations

import datetime
import hashlib
import secrets
import uuid

from django.db import transaction
from django.utils import timezone

from edgewise.accounts.models import ApiToken, Membership, Role, Scope, User, Workspace
from edgewise.errors import Forbidden, Invalid, NotFound

LONGEST_NAME = 100
TOKEN_PREFIX = "ew_"  # noqa: S105 - marks our tokens for secret scanners; no secret itself
FIRST_ADMINISTRATOR = "admin@localhost.localdomain"


def give_personal_workspace(user: User) -> Workspace:
    """Return the user's personal workspace, made at first need."""
    return _personal_workspace(user) or _make_personal_workspace(user)


def _personal_workspace(user: User) -> Workspace | None:
    membership = Membership.objects.filter(user=user, workspace__personal=True).select_related("workspace").first()
    return membership.workspace if membership else None


def _make_personal_workspace(user: User) -> Workspace:
    with transaction.atomic():
        # Two requests of a new user may come at once: the second waits, and finds what the first has made.
        User.objects.select_for_update().get(pk=user.pk)
        if workspace := _personal_workspace(user):
            return workspace
        belongs = "'s workspace"
        workspace = Workspace.objects.create(name=str(user)[: LONGEST_NAME - len(belongs)] + belongs)
        Membership.objects.create(workspace=workspace, user=user, role=Role.OWNER)
        return workspace


def first_administrator() -> User:
    """Return the first administrator; where there is none, make one who cannot sign in before there is a password."""
    administrators = User.objects.filter(is_superuser=True, is_active=True).order_by("date_joined")
    user = administrators.first() or User.objects.create_superuser(FIRST_ADMINISTRATOR)
    give_personal_workspace(user)
    return user


def set_random_password(user: User) -> str:
    """Set a random password, and return it: it is stored nowhere."""
    password = secrets.token_urlsafe(15)
    user.set_password(password)
    user.save(update_fields=["password"])
    return password


def require_write(user: User, workspace: Workspace, token: ApiToken | None = None) -> None:
    """Let nobody change a workspace who may not.

    Raises:
        Forbidden: the token that is used may only read, or the user's role in the workspace lets them look alone.
    """
    if token is not None and token.scope != Scope.WRITE:
        raise Forbidden("This token may only read.", "Make one that may write on the Account page.")
    if not workspace.memberships.filter(user=user).exclude(role=Role.VIEWER).exists():
        raise Forbidden(
            f"You may look at “{workspace}” and change nothing: your role there is that of a viewer.",
            "Ask its owner or the operator to make you an editor.",
        )


def rename(user: User, workspace: Workspace, name: str, workspace_name: str) -> None:
    """Change the name of a user and of the workspace.

    Raises:
        Invalid: a name is missing or too long.
    """
    problems = {}
    if len(name.strip()) > LONGEST_NAME:
        problems["name"] = f"A name has at most {LONGEST_NAME} characters."
    if not 1 <= len(workspace_name.strip()) <= LONGEST_NAME:
        problems["workspace"] = f"The workspace needs a name of 1 to {LONGEST_NAME} characters."
    if problems:
        raise Invalid(problems)
    with transaction.atomic():
        User.objects.filter(pk=user.pk).update(name=name.strip())
        Workspace.objects.filter(pk=workspace.pk).update(name=workspace_name.strip())


def create_token(
    user: User, workspace: Workspace, name: str, scope: str = Scope.WRITE, expires_in_days: int | None = 365
) -> tuple[ApiToken, str]:
    """Make a token; its secret is returned once and only its hash is stored."""
    problems = {}
    if not name.strip():
        problems["name"] = "Give the token a name, so that you know later which script uses it."
    if len(name.strip()) > LONGEST_NAME:
        problems["name"] = f"The name of a token has at most {LONGEST_NAME} characters."
    if scope not in Scope.values:
        problems["scope"] = f"The scope must be one of {', '.join(Scope.values)}."
    if expires_in_days is not None and not 1 <= expires_in_days <= 3650:
        problems["expires_in_days"] = "A token can live from 1 to 3,650 days."
    if problems:
        raise Invalid(problems)
    secret = TOKEN_PREFIX + secrets.token_urlsafe(32)
    expires = timezone.now() + datetime.timedelta(days=expires_in_days) if expires_in_days else None
    token = ApiToken.objects.create(
        user=user, workspace=workspace, name=name.strip(), scope=scope, digest=digest(secret), expires_at=expires
    )
    return token, secret


def revoke_token(user: User, token_id: uuid.UUID) -> None:
    """Delete one of the user's tokens."""
    deleted, _ = ApiToken.objects.filter(user=user, pk=token_id).delete()
    if not deleted:
        raise NotFound("token")


def digest(secret: str) -> str:
    """Hash a token's secret. It is long and random, so a plain hash is as good as a slow one."""
    return hashlib.sha256(secret.encode()).hexdigest()
