"""Files that appear under their name only when they are whole, and what lies in them."""

from __future__ import annotations

import io
import json
import os
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

Arrays = dict[str, npt.NDArray[Any]]

HEADER = "header"


def write_atomically(path: Path, content: bytes) -> None:
    """Write a whole file."""
    with _appearing(path) as file:
        file.write(content)


def write_array(path: Path, shape: tuple[int, ...], blocks: Iterable[npt.NDArray[np.float32]]) -> None:
    """Write a float32 array in numpy's format, block of rows by block: it need not fit into memory."""
    with _appearing(path) as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        for block in blocks:
            file.write(np.ascontiguousarray(block, dtype="<f4").data)


@contextmanager
def _appearing(path: Path) -> Iterator[IO[bytes]]:
    """Write beside the final name, flush to the disk, rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".part-")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def encode(header: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """Encode a header and named arrays in numpy's format, without pickle; the same content gives the same bytes."""
    text = np.frombuffer(json.dumps(header, sort_keys=True).encode(), dtype=np.uint8)
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **{HEADER: text}, **dict(sorted(arrays.items())))
    return buffer.getvalue()


def decode(path: Path) -> tuple[dict[str, Any], Arrays]:
    """Read what `encode` wrote; checksums are compared.

    Raises:
        ValueError: the content is damaged.
        OSError: the file cannot be read.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            header = json.loads(stored[HEADER].tobytes())
            return header, {name: stored[name] for name in sorted(stored.files) if name != HEADER}
    except (zipfile.BadZipFile, EOFError, KeyError, AttributeError, NotImplementedError) as error:
        raise ValueError(f"{error or 'it is empty'}") from error
