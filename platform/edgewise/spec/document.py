"""Write `docs/parameters.md` from the declarations: `python -m edgewise.spec.document`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

from pydantic import BaseModel

from edgewise.spec.dataset import DatasetParameters
from edgewise.spec.detection import OperatingPoint
from edgewise.spec.fields import Parameter, declared
from edgewise.spec.network import NETWORKS, STAGE_KINDS
from edgewise.spec.recording import RecordingParameters
from edgewise.spec.run import RunParameters
from edgewise.spec.synthesis import SynthesisParameters

TARGET = Path(__file__).resolve().parents[3] / "docs" / "parameters.md"

HEAD = """\
# Parameters

Made by `python -m edgewise.spec.document` from the declarations in `platform/edgewise/spec/`; a test compares the two.
The same declarations make the forms, the REST serializers and the engine's input. A network may prefer other defaults;
the last table lists them.
"""


def render() -> str:
    """Return the document's text."""
    models: dict[str, type[BaseModel]] = {
        "Synthesis": SynthesisParameters,
        "Recording": RecordingParameters,
        "Dataset": DatasetParameters,
        "Run": RunParameters,
        "Operating point": OperatingPoint,
    }
    tables = [table for title, model in models.items() for table in _tables(title, model)]
    return "\n".join([HEAD, *tables, _networks(), *_stages()])


def _tables(title: str, model: type[BaseModel]) -> Iterator[str]:
    yield f"## {title}\n"
    items = sorted(declared(model), key=lambda item: item.group)
    for group, members in groupby(items, key=lambda item: item.group):
        yield f"### {group}\n\n{_table(members)}"


def _table(items: Iterable[Parameter]) -> str:
    rows = "\n".join(_row(item) for item in items)
    return f"| name | default | allowed | meaning |\n|---|---|---|---|\n{rows}\n"


def _row(item: Parameter) -> str:
    default = "required" if item.required else f"`{item.default}`"
    return f"| `{item.name}` | {default} | {_allowed(item)} | **{item.title}.** {item.help} |"


def _allowed(item: Parameter) -> str:
    if item.choices:
        return ", ".join(f"`{choice}`" for choice in item.choices)
    if item.minimum is None or item.maximum is None:
        return {"boolean": "true, false", "list": "a list"}.get(item.type, item.type)
    return f"{item.minimum:,} – {item.maximum:,} {item.unit}".strip()


def _networks() -> str:
    rows = "\n".join(
        f"| `{name}` | {spec.summary} | {', '.join(f'`{key}` = {value}' for key, value in spec.defaults.items())} |"
        for name, spec in NETWORKS.items()
    )
    return f"## Networks\n\n| name | when to choose it | defaults of its own |\n|---|---|---|\n{rows}\n"


def _stages() -> Iterator[str]:
    yield (
        "## Stages of a network\n\n"
        "A custom network is an object with `stages`: a list of 1 to 16 objects, each with its `kind` and the fields "
        "below.\n"
    )
    for model in STAGE_KINDS.values():
        kind, *fields = declared(model)
        yield f"### `{kind.default}`\n\n{kind.help}\n\n{_table(fields)}"


if __name__ == "__main__":
    TARGET.write_text(render(), encoding="utf-8")
