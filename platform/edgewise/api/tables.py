"""Tables to download, for programs and for spreadsheets."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from typing import Any

from django.http import StreamingHttpResponse

FORMULA = ("=", "+", "-", "@", "\t", "\r")


class _Echo:
    """A file that gives back what is written."""

    def write(self, line: str) -> str:
        return line


def csv_answer(name: str, rows: Iterable[Iterable[Any]]) -> StreamingHttpResponse:
    """Stream rows, the first of them headings, as a CSV file."""
    writer = csv.writer(_Echo())
    lines = (writer.writerow([_harmless(cell) for cell in row]) for row in rows)
    return StreamingHttpResponse(
        lines, content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )  # fmt: skip


def _harmless(cell: Any) -> Any:
    """Texts come from file names, and a spreadsheet would take some for formulas (OWASP, CSV injection)."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell
