"""The report of an import: which files could not be used, why, and what to do, by kind and one by one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from django.db.models import Count, QuerySet

from datasets_app.models import FileProblem, RawData

PAGE = 100
COLUMNS = ("file", "code", "reason", "remedy")


@dataclass(frozen=True)
class ProblemKind:
    """Files with the same problem."""

    code: str
    count: int

    @property
    def title(self) -> str:
        """Its code, to be read."""
        return self.code.replace("-", " ").capitalize()


@dataclass(frozen=True)
class ReportPage:
    """One page of the report."""

    kinds: list[ProblemKind]
    code: str
    """Of the kind that is listed; empty: of all."""
    problems: list[FileProblem]
    before: int | None
    after: int | None


def kinds(raw_data: RawData) -> list[ProblemKind]:
    """Count the problems of each kind, the most frequent first."""
    return _most_frequent_first(raw_data.problems.order_by().values_list("code").annotate(count=Count("id")))


def listed(raw_data: RawData, code: str = "") -> QuerySet[FileProblem]:
    """Problems of all kinds or of one, by the names of the files."""
    problems = raw_data.problems.order_by("name", "id")
    return problems.filter(code=code) if code else problems


def page(raw_data: RawData, code: str, number: int) -> ReportPage:
    """One page of problems: numbers begin at 1."""
    if raw_data.problem_count <= PAGE:
        return _only_page(list(listed(raw_data)), code)
    found = kinds(raw_data)
    code = code if code in [kind.code for kind in found] else ""
    total = sum(kind.count for kind in found if code in ("", kind.code))
    number = max(1, min(number, -(-total // PAGE)))
    return ReportPage(
        kinds=found,
        code=code,
        problems=list(listed(raw_data, code)[(number - 1) * PAGE : number * PAGE]),
        before=number - 1 if number > 1 else None,
        after=number + 1 if number * PAGE < total else None,
    )


def _only_page(problems: list[FileProblem], code: str) -> ReportPage:
    """The report where all problems fit on a page, which are then read once."""
    found = _most_frequent_first(Counter(problem.code for problem in problems).items())
    code = code if code in [kind.code for kind in found] else ""
    chosen = [problem for problem in problems if code in ("", problem.code)]
    return ReportPage(kinds=found, code=code, problems=chosen, before=None, after=None)


def _most_frequent_first(counted: Iterable[tuple[str, int]]) -> list[ProblemKind]:
    return [ProblemKind(*row) for row in sorted(counted, key=lambda row: (-row[1], row[0]))]


def table(raw_data: RawData, code: str = "") -> Iterator[tuple[str, ...]]:
    """Headings, then a row for each problem."""
    yield COLUMNS
    yield from listed(raw_data, code).values_list("name", "code", "reason", "remedy").iterator()
