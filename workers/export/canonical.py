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
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from google.protobuf.message import Message
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

Rename = Callable[[str], str]

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
        _rename_in(saved, _renumber(function.signature.name for function in library.function))
        library.function.sort(key=lambda function: function.signature.name)
    part = graph.with_suffix(".part")
    part.write_bytes(saved.SerializeToString(deterministic=True))
    os.replace(part, graph)


def _renumber(names: Iterable[str]) -> Rename:
    """Return what renames functions in a text: those of one stem are numbered from 0, in the order of their making."""
    matches = sorted((match for name in names if (match := NUMBERED.fullmatch(name))), key=_made)
    groups = itertools.groupby(matches, key=lambda match: match["stem"])
    renamed = {match[0]: f"{stem}{number}" for stem, group in groups for number, match in enumerate(group)}
    # The names of a loop's arguments contain those of its functions.
    anywhere = re.compile("|".join(f"{re.escape(name)}(?!\\d)" for name in renamed))
    return lambda text: anywhere.sub(lambda found: renamed[found[0]], text)


def _made(match: re.Match[str]) -> tuple[str, int]:
    return match["stem"], int(match["number"])


def _rename_in(message: Message, rename: Rename) -> None:
    """Rename in each text of `message`, at any depth."""
    for field, value in message.ListFields():
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            _rename_in_map(value, rename)
        elif field.message_type is not None:
            for item in value if field.is_repeated else [value]:
                _rename_in(item, rename)
        elif field.type == field.TYPE_STRING and field.is_repeated:
            value[:] = [rename(item) for item in value]
        elif field.type == field.TYPE_STRING:
            setattr(message, field.name, rename(value))


def _rename_in_map(entries: Any, rename: Rename) -> None:
    before = {key: copy.deepcopy(value) for key, value in entries.items()}
    # A new key can be another entry's old one, so none may be left.
    entries.clear()
    for key, value in before.items():
        place = rename(key) if isinstance(key, str) else key
        if isinstance(value, Message):
            _rename_in(value, rename)
            entries[place].CopyFrom(value)
        else:
            entries[place] = rename(value) if isinstance(value, str) else value
