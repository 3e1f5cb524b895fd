"""Lists by cursor: stable while rows come and go."""

from __future__ import annotations

from rest_framework.pagination import CursorPagination


class InOrder(CursorPagination):
    """Rows as they came, by their number."""

    ordering = "id"
    page_size = 100
    max_page_size = 1000
    page_size_query_param = "limit"


class NewestFirst(CursorPagination):
    """Newest rows first, by their UUIDv7."""

    ordering = "-id"
    page_size = 50
    max_page_size = 500
    page_size_query_param = "limit"
