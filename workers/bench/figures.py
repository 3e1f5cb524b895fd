"""Figures, and how they are shown: as a table for people and as one JSON object for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Column, Table


@dataclass(frozen=True)
class Figure:
    """One measured number.

    `vs_<peer>` counts how many times as fast as the peer we are. `spread` is the slowest round as a multiple of the
    fastest; `at_least` and `at_most` are what the project demands.
    """

    name: str
    value: float
    unit: str = ""
    spread: float | None = None
    at_least: float | None = None
    at_most: float | None = None

    @property
    def demanded(self) -> str:
        """What is demanded, and whether it is missed; empty where nothing is."""
        if self.at_least is not None:
            return f"at least {_number(self.at_least)}" + ("" if self.value >= self.at_least else " (missed)")
        if self.at_most is not None:
            return f"at most {_number(self.at_most)}" + ("" if self.value <= self.at_most else " (missed)")
        return ""


Results = Mapping[str, Sequence[Figure]]


def print_tables(results: Results, circumstances: Mapping[str, Any]) -> None:
    """Print what was measured on which machine, and a table of all figures."""
    console = Console(highlight=False)
    for name, details in circumstances.items():
        values = details.items() if isinstance(details, Mapping) else [("", details)]
        console.print(f"{name}: " + ", ".join(f"{key} {value}".strip() for key, value in values), soft_wrap=True)
    # Where the window is narrow, names are broken and never numbers.
    numbers = [Column(name, no_wrap=True) for name in ("value", "unit", "spread", "demanded")]
    table = Table(Column("figure", overflow="fold"), *numbers)
    for bench, figures in results.items():
        for figure in figures:
            table.add_row(
                f"{bench}.{figure.name}", _number(figure.value), figure.unit, _spread(figure), figure.demanded
            )
    console.print(table)


def _spread(figure: Figure) -> str:
    return "" if figure.spread is None else f"{figure.spread:.2f}"


def _number(value: float) -> str:
    return f"{value:.4g}" if value < 1000 else f"{value:,.0f}"


def to_json(results: Results, circumstances: Mapping[str, Any]) -> str:
    """Encode `{"machine": …, "versions": …, "load": …, BENCH: {figure: number}}` in one line."""
    numbers = {bench: {figure.name: figure.value for figure in figures} for bench, figures in results.items()}
    return json.dumps({**circumstances, **numbers})
