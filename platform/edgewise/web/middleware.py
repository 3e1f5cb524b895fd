"""Pages travel compressed, and errors that a view let pass become pages."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.middleware.gzip import GZipMiddleware
from django.shortcuts import render
from django.utils.deprecation import MiddlewareMixin

from edgewise.errors import DiskFull, UserError
from edgewise.web.responses import wants_part


class UserErrorPages(MiddlewareMixin):
    """Show a `UserError` as a page or, to htmx, as a message at the top of the page."""

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Answer what services and queries refused; leave everything else to Django."""
        error = DiskFull.from_system(error)
        if not isinstance(error, UserError):
            return None
        if not wants_part(request):
            return render(request, "error.html", {"error": error}, status=error.status)
        response = render(request, "components/error.html", {"error": error}, status=error.status)
        response["HX-Retarget"], response["HX-Reswap"] = "#messages", "beforeend"
        return response


class CompressedPages(GZipMiddleware):
    """Compress pages and JSON. Streams go as they are: live events would wait in the compressor's buffer."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """Compress what is whole."""
        return response if response.streaming else super().process_response(request, response)
