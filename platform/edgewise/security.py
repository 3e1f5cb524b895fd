"""Content-Security-Policy: nothing is loaded from another host, and no inline script runs."""

from __future__ import annotations

from collections.abc import Callable
from wsgiref.headers import Headers

from django.http import HttpRequest, HttpResponseBase
from django.utils.deprecation import MiddlewareMixin

POLICY = "; ".join(
    [
        "default-src 'self'",
        "script-src 'self'",
        # Plotly sets style attributes on the elements that it draws.
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "media-src 'self' blob:",
        "connect-src 'self'",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    ]
)

WEBASSEMBLY_WORKER = "/js/spotter-worker."
WEBASSEMBLY_POLICY = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'"
"""A worker obeys the policy of its own script. This one alone may compile WebAssembly, so that no page needs to."""


def static_headers(headers: Headers, path: str, url: str) -> None:
    """Give the worker's script its policy (`WHITENOISE_ADD_HEADERS_FUNCTION`)."""
    if WEBASSEMBLY_WORKER in url:
        headers["Content-Security-Policy"] = WEBASSEMBLY_POLICY


class ContentSecurityPolicy(MiddlewareMixin):
    """Send the policy with every page."""

    get_response: Callable[[HttpRequest], HttpResponseBase]

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        response.headers.setdefault("Content-Security-Policy", POLICY)
        return response
