"""One form for a SavedModel: the same network gives the same bytes, whatever the process did before.

TensorFlow numbers the functions of a graph through the life of a process, keeps them in the order of a hash table, and
adds a fingerprint with a random identifier. Here the numbers begin at 0, functions are sorted, maps are serialised in
order and the fingerprint, which is optional, goes.
"""

from __future__ import annotations

import copy
import itertools
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from google.protobuf.message import Message
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

NUMBERED = re.compile(r"(?P<stem>.+_)(?P<number>\d+)")


def canonicalize(folder: Path) -> None:
    """Bring the SavedModel in `folder` to its one form."""
    (folder / "fingerprint.pb").unlink(missing_ok=True)
    for empty in [path for path in folder.iterdir() if path.is_dir() and not any(path.iterdir())]:
        empty.rmdir()
    graph = folder / "saved_model.pb"
    saved = SavedModel.FromString(graph.read_bytes())
    for meta_graph in saved.meta_graphs:
        library = meta_graph.graph_def.library
        _rename(saved, _canonical_names(function.signature.name for function in library.function))
        library.function.sort(key=lambda function: function.signature.name)
    part = graph.with_suffix(".part")
    part.write_bytes(saved.SerializeToString(deterministic=True))
    os.replace(part, graph)


def _canonical_names(names: Iterable[str]) -> dict[str, str]:
    """Number functions of one stem from 0, in the order in which they were made."""
    matches = sorted((match for name in names if (match := NUMBERED.fullmatch(name))), key=_made)
    groups = itertools.groupby(matches, key=lambda match: match["stem"])
    return {match[0]: f"{stem}{number}" for stem, group in groups for number, match in enumerate(group)}


def _made(match: re.Match[str]) -> tuple[str, int]:
    return match["stem"], int(match["number"])


def _rename(message: Message, names: dict[str, str]) -> None:
    """Replace each text in `message`, at any depth, that is a key of `names`."""
    for field, value in message.ListFields():
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            _rename_map(value, names)
        elif field.message_type is not None:
            for item in value if field.is_repeated else [value]:
                _rename(item, names)
        elif field.type == field.TYPE_STRING and field.is_repeated:
            value[:] = [names.get(item, item) for item in value]
        elif field.type == field.TYPE_STRING:
            setattr(message, field.name, names.get(value, value))


def _rename_map(entries: Any, names: dict[str, str]) -> None:
    before = {key: copy.deepcopy(value) for key, value in entries.items()}
    # A new key can be another entry's old one, so none may be left.
    entries.clear()
    for key, value in before.items():
        if isinstance(value, Message):
            _rename(value, names)
            entries[names.get(key, key)].CopyFrom(value)
        else:
            entries[names.get(key, key)] = names.get(value, value)
