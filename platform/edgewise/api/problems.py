"""Errors as application/problem+json (RFC 9457)."""

from __future__ import annotations

from collections.abc import Iterator
from http.client import responses
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.http import Http404
from rest_framework import exceptions
from rest_framework.response import Response

from edgewise.errors import ChecksumMismatch, Conflict, DiskFull, NotFound, TooLarge, UserError

TYPE = "urn:edgewise:problem:"
TITLES = {**responses, ChecksumMismatch.status: "Checksum Mismatch"}
SENTENCES = {"required": "It is missing.", "blank": "It is empty.", "null": "It must not be null."}
"""By the framework's codes, where its own words do not say what is meant."""
REMEDIES = {
    "not-authenticated": "Send `Authorization: Bearer TOKEN` with a token from the Account page, or sign in.",
    "authentication-failed": "Make another token on the Account page.",
    "method-not-allowed": "See /api/v1/docs for what this address takes.",
}


def handle(error: Exception, context: dict[str, Any]) -> Response | None:
    """Turn an exception into a problem; None lets an unforeseen one become a 500."""
    if isinstance(error, Http404):
        error = NotFound(_named(context["view"]))
    if isinstance(error, RequestDataTooBig):
        most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        error = TooLarge(f"The request is too large: {most:,} bytes are taken.", "Send less at once.")
    error = DiskFull.from_system(error)
    if isinstance(error, UserError):
        return _of_service(error)
    if isinstance(error, PermissionDenied):
        error = exceptions.PermissionDenied()
    if isinstance(error, exceptions.APIException):
        return _of_framework(error)
    return None


def problem(status: int, code: str, detail: str, **extra: Any) -> Response:
    """Answer a problem: `detail` says what happened and why, `remedy` what to do."""
    body = {"type": TYPE + code, "title": TITLES[status], "status": status, "detail": detail}
    body.update({name: value for name, value in extra.items() if value})
    return Response(body, status=status, content_type="application/problem+json")


def _named(view: Any) -> str:
    """Name what a view answers with."""
    return str(view.queryset.model._meta.verbose_name) if getattr(view, "queryset", None) is not None else "resource"


def _of_service(error: UserError) -> Response:
    errors = [{"field": name, "message": message} for name, message in error.fields.items()]
    needed_by = error.needed_by if isinstance(error, Conflict) else []
    return problem(
        error.status, error.code, error.reason, remedy=error.remedy, errors=errors, needed_by=needed_by
    )  # fmt: skip


def _of_framework(error: exceptions.APIException) -> Response:
    if isinstance(error, exceptions.ValidationError):
        errors = list(_fields(error.detail))
        response = problem(400, "invalid", " ".join(item["message"] for item in errors), errors=errors)
    else:
        codes = error.get_codes()
        code = codes.replace("_", "-") if isinstance(codes, str) else "error"
        response = problem(error.status_code, code, str(error.detail), remedy=REMEDIES.get(code, ""))
    if header := getattr(error, "auth_header", None):
        response["WWW-Authenticate"] = header
    return response


def _fields(detail: Any, name: str = "") -> Iterator[dict[str, str]]:
    if isinstance(detail, dict):
        for key, value in detail.items():
            yield from _fields(value, f"{name}.{key}".strip("."))
    elif isinstance(detail, list):
        for value in detail:
            yield from _fields(value, name)
    else:
        yield {"field": name, "message": SENTENCES.get(getattr(detail, "code", ""), str(detail))}
