"""Forms made from declared parameters.

A form holds texts, as they were typed, and errors, as the services worded them. It checks nothing itself: the pydantic
models do, in the service that the API calls too, so that a page and the API give the same message.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from django.http import QueryDict
from pydantic import BaseModel

from edgewise.spec.fields import Parameter, declared


@dataclass(frozen=True)
class BoundParameter:
    """A parameter with what stands in its field."""

    parameter: Parameter
    value: Any
    default: Any
    error: str = ""

    @property
    def text(self) -> str:
        """The value as its field shows it."""
        return as_text(self.value)

    @property
    def default_text(self) -> str:
        """The default as the field would show it."""
        return as_text(self.default)

    @property
    def changed(self) -> bool:
        """Whether the value is not the default."""
        return self.text != self.default_text

    @property
    def bounds(self) -> str:
        """Smallest and largest value."""
        low, high = self.parameter.minimum, self.parameter.maximum
        return "" if low is None or high is None else f"{_number(low)} – {_number(high)}"

    @property
    def tooltip(self) -> str:
        """What the parameter does, with its default."""
        if self.default in (None, "", []):
            return self.parameter.help
        return f"{self.parameter.help}\nDefault: {self._with_unit(self.default)}"

    @property
    def tooltip_with_bounds(self) -> str:
        """The same with the bounds, for a field that has no room for them beside it."""
        return f"{self.tooltip}\nAllowed: {self.bounds}" if self.bounds else self.tooltip

    @property
    def shown(self) -> str:
        """The value as people read it, with its unit."""
        return self._with_unit(self.value)

    def _with_unit(self, value: Any) -> str:
        choice = self.parameter.choices.get(as_text(value))
        if choice is not None:
            return choice
        number, unit = _number(value), self.parameter.unit
        return f"± {number} {unit[2:]}" if unit.startswith("± ") else f"{number} {unit}".strip()

    @property
    def options(self) -> list[tuple[str, str, bool]]:
        """Value, label and whether it is chosen, of each choice."""
        return [(value, label, value == self.text) for value, label in self.parameter.choices.items()]


@dataclass(frozen=True)
class Group:
    """Parameters under one heading; the advanced ones are folded."""

    title: str
    basic: list[BoundParameter] = field(default_factory=list)
    advanced: list[BoundParameter] = field(default_factory=list)

    @property
    def folded(self) -> bool:
        """Whether the advanced parameters may stay folded: none was changed, none is wrong."""
        return not any(item.changed or item.error for item in self.advanced)


class ParameterForm:
    """The parameters of `model`, bound to values and errors.

    The names of its fields begin with `prefix`, as those of the errors do that `edgewise.spec.fields.explain` gives for
    a model within another: `network.stages.0.`. Values go without it.
    """

    def __init__(
        self,
        model: type[BaseModel],
        values: Mapping[str, Any],
        *,
        defaults: Mapping[str, Any] | None = None,
        errors: Mapping[str, str] | None = None,
        without: Collection[str] = (),
        prefix: str = "",
    ) -> None:
        preferred, wrong = defaults or {}, errors or {}
        self.fields: dict[str, BoundParameter] = {}
        for item in declared(model):
            if item.name not in without:
                default = preferred.get(item.name, item.default)
                value = values.get(item.name, default)
                named = replace(item, name=prefix + item.name)
                self.fields[item.name] = BoundParameter(named, value, default, wrong.get(named.name, ""))

    def __getitem__(self, name: str) -> BoundParameter:
        return self.fields[name]

    def groups(self) -> Iterator[Group]:
        """Yield the groups in the order of their declaration."""
        groups: dict[str, Group] = {}
        for item in self.fields.values():
            group = groups.setdefault(item.parameter.group, Group(item.parameter.group))
            (group.advanced if item.parameter.advanced else group.basic).append(item)
        yield from groups.values()


def read(
    model: type[BaseModel], posted: QueryDict, *, without: Collection[str] = (), prefix: str = ""
) -> dict[str, Any]:
    """Take the parameters of `model` from a posted form, as they were typed; fields that it lacks are left out."""
    values: dict[str, Any] = {}
    for item in declared(model):
        name = prefix + item.name
        if item.name in without:
            continue
        if item.type == "list":
            values[item.name] = posted.getlist(name)
        elif item.type == "boolean":
            values[item.name] = name in posted
        elif name in posted:
            values[item.name] = posted.get(name, "").strip()
    return values


def as_text(value: Any) -> str:
    """Write a value as a field holds it: no trailing zeros, no thousands separators."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value)


def _number(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, float) and not value.is_integer():
        return f"{value:.6f}".rstrip("0") if abs(value) >= 1e-6 else f"{value:g}"
    return f"{int(value):,}" if isinstance(value, int | float) else str(value)
