"""How a parameter is declared: a pydantic field with what a form needs to know beside its bounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args, get_origin

import annotated_types
from pydantic import BaseModel, Field, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError


def parameter(
    default: Any = ...,
    *,
    title: str,
    help: str,
    group: str = "",
    unit: str = "",
    advanced: bool = False,
    choices: Mapping[str, str] | None = None,
    **bounds: Any,
) -> Any:
    """Declare one parameter.

    `help` is the sentence that the tooltip shows; `group` the heading it stands under, where there are headings;
    `advanced` folds it away; `choices` maps each value of a `Literal` to its label; `bounds` are pydantic's own (`ge`,
    `le`, `min_length`, …).
    """
    extra: dict[str, Any] = {"unit": unit, "group": group, "advanced": advanced, "choices": dict(choices or {})}
    return Field(default, title=title, description=help, json_schema_extra=extra, **bounds)


def wrong(name: str, message: str) -> PydanticCustomError:
    """Error of a rule over several parameters, to be shown beside the parameter `name`.

    Where a validator sees a part of a model only, `name` is seen from there: `2.stride` in a list of stages.
    """
    return PydanticCustomError("rule", "{message}", {"parameter": name, "message": message})


@dataclass(frozen=True)
class Parameter:
    """One declared parameter, as forms and documents read it."""

    name: str
    title: str
    help: str
    group: str
    unit: str
    advanced: bool
    choices: dict[str, str]
    default: Any
    minimum: float | None
    maximum: float | None
    type: Literal["integer", "number", "boolean", "choice", "text", "list", "object"]
    required: bool


def declared(model: type[BaseModel]) -> list[Parameter]:
    """List the parameters of `model` in the order of their declaration."""
    return [_describe(name, field) for name, field in model.model_fields.items() if field.title]


def explain(error: ValidationError, model: type[BaseModel]) -> dict[str, str]:
    """Turn pydantic's errors into one sentence for each parameter: what is wrong, and what would be right.

    A parameter of a model within `model` is named by its path: `network.stages.2.stride`.
    """
    messages: dict[str, str] = {}
    for problem in error.errors():
        name, item = _locate(dict(problem), model)
        messages.setdefault(name, _sentence(item, dict(problem)))
    return messages


def _locate(problem: dict[str, Any], model: type[BaseModel]) -> tuple[str, Parameter | None]:
    """Follow pydantic's location of a problem: the dotted name of the parameter, and its declaration.

    The location holds the tags of unions, too. They say which model is meant and are no part of the name.
    """
    context = problem.get("ctx", {})
    steps = [str(step) for step in problem["loc"]]
    if problem["type"] == "rule":
        steps += context["parameter"].split(".")
    if problem["type"].startswith("union_tag_"):
        steps.append(context["discriminator"].strip("'"))
    name, item, models = [], None, [model]
    for step in steps:
        fields = [candidate.model_fields[step] for candidate in models if step in candidate.model_fields]
        if fields:
            name.append(step)
            item = _describe_alternatives(step, fields)
            models = [found for field in fields for found in _models_in(field.annotation)]
        elif step.isdecimal():
            name.append(step)
        else:
            models = [candidate for candidate in models if _has_tag(candidate, step)] or models
    if problem["type"] == "extra_forbidden":
        return ".".join([*name, steps[-1]]), None
    return ".".join(name), item


def _has_tag(model: type[BaseModel], tag: str) -> bool:
    return any(field.default == tag for field in model.model_fields.values())


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in get_args(annotation) for model in _models_in(argument)]


def _describe_alternatives(name: str, fields: list[FieldInfo]) -> Parameter | None:
    """Describe a field that several models of a union have: a choice may take what any of them takes."""
    found = [_describe(name, field) for field in fields if field.title]
    if not found:
        return None
    return replace(found[0], choices={value: label for item in found for value, label in item.choices.items()})


def _describe(name: str, field: FieldInfo) -> Parameter:
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    choices: dict[str, str] = dict(extra.get("choices", {}))  # type: ignore[arg-type]
    required = field.is_required()
    default = None if required else field.get_default(call_default_factory=True, validated_data={})
    return Parameter(
        name=name,
        title=field.title or name,
        help=field.description or "",
        group=str(extra.get("group", "")),
        unit=str(extra.get("unit", "")),
        advanced=bool(extra.get("advanced", False)),
        choices=choices,
        default=default,
        minimum=_bound(field, annotated_types.Ge, "ge"),
        maximum=_bound(field, annotated_types.Le, "le"),
        type="choice" if choices and get_origin(field.annotation) is not list else _type(field.annotation),
        required=required,
    )


def _bound(field: FieldInfo, kind: type, attribute: str) -> float | None:
    return next((getattr(item, attribute) for item in field.metadata if isinstance(item, kind)), None)


def _type(annotation: Any) -> Any:
    alternatives = [item for item in get_args(annotation) if item is not type(None)]
    if get_origin(annotation) is Literal:
        return "choice"
    if get_origin(annotation) is list:
        return "list"
    if alternatives and get_origin(annotation) is not list:
        return _type(alternatives[0])
    return {bool: "boolean", int: "integer", float: "number", str: "text"}.get(annotation, "object")


def _sentence(item: Parameter | None, problem: dict[str, Any]) -> str:
    message = str(problem["msg"]).removeprefix("Value error, ")
    if item is None:
        return f"There is no parameter “{problem['loc'][-1]}”." if problem["type"] == "extra_forbidden" else message
    if problem["type"] in ("missing", "union_tag_not_found"):
        return f"{item.title} is missing."
    if problem["type"] in ("value_error", "rule", "network"):
        return message
    if problem["type"] == "too_short":
        return f"{item.title}: give at least {problem['ctx']['min_length']}."
    if problem["type"] == "too_long":
        return f"{item.title}: give at most {problem['ctx']['max_length']}."
    given = problem["ctx"]["tag"] if problem["type"] == "union_tag_invalid" else problem.get("input")
    shown = "null" if given is None else repr(given)
    return f"{item.title} must be {_allowed(item)}; {shown} is not." if _allowed(item) else f"{item.title}: {message}."


def _allowed(item: Parameter) -> str:
    unit = f" {item.unit}" if item.unit else ""
    if item.type == "choice":
        return "one of " + ", ".join(item.choices)
    kind = {"integer": "a whole number", "number": "a number", "boolean": "true or false"}.get(item.type, "")
    if not kind or (item.minimum is None and item.maximum is None):
        return kind
    if item.minimum is None or item.maximum is None:
        side, bound = ("at most", item.maximum) if item.minimum is None else ("at least", item.minimum)
        return f"{kind} of {side} {bound:,}{unit}"
    return f"{kind} from {item.minimum:,} to {item.maximum:,}{unit}"
