"""Archives and folders as streams of files: never extracted to disk, never trusted.

Only regular files with plain relative names come through. Links, devices and names that lead out are reported as
problems, and size limits stop archives that unpack to far more than they hold.
"""

from __future__ import annotations

import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from workers.engine.errors import EngineError

LARGEST_FILE = 256 * 2**20
LARGEST_TOTAL = 64 * 2**30
MOST_FILES = 2_000_000
LARGEST_RATIO = 200
"""Bytes out for each byte in: silence in flac reaches about 100, bombs reach thousands."""
FREE_BYTES = 64 * 2**20
"""Below this much output the ratio is not looked at."""

KINDS = ".tar.gz, .tar or .zip"


@dataclass(frozen=True)
class Member:
    """One file: its name with forward slashes, and its content read on demand."""

    name: str
    size: int
    read: Callable[[], bytes]


@dataclass(frozen=True)
class Refused:
    """A member that does not come through, and why."""

    name: str
    code: str
    reason: str
    remedy: str


class BadArchive(EngineError):
    """The archive as a whole cannot be read."""


def members(path: Path) -> Iterator[Member | Refused]:
    """Stream the files of a folder or archive, in their order.

    Raises:
        BadArchive: it is neither, is encrypted or damaged, or unpacks to too much.
    """
    if path.is_dir():
        yield from _of_folder(path)
    elif not path.is_file():
        raise BadArchive("not-found", f"There is no file or folder {path.name}.", "Check the path.")
    elif zipfile.is_zipfile(path):
        yield from _guarded(path, _of_zip(path))
    else:
        yield from _guarded(path, _of_tar(path))


def _of_folder(path: Path) -> Iterator[Member | Refused]:
    for file in sorted(path.rglob("*")):
        name = file.relative_to(path).as_posix()
        if file.is_symlink():
            yield _link(name)
        elif file.is_file():
            yield Member(name, file.stat().st_size, file.read_bytes)


def _of_tar(path: Path) -> Iterator[Member | Refused]:
    try:
        with tarfile.open(path, "r:*") as archive:
            yield from _tar_members(archive)
    except tarfile.ReadError as error:
        if path.stat().st_size and "file could not be opened" not in str(error):
            raise _damaged(error) from error
        raise BadArchive(
            "no-archive", f"{path.name} is no archive that Edgewise can read.", f"Pack the folder as {KINDS}."
        ) from error
    except (EOFError, OSError, zlib.error) as error:
        raise _damaged(error) from error


def _tar_members(archive: tarfile.TarFile) -> Iterator[Member | Refused]:
    for info in archive:
        # The archive would remember every member: a million of them must not fill the memory.
        archive.members = []  # type: ignore[attr-defined]
        if info.isdir():
            continue
        if not info.isfile():
            yield _link(info.name)
            continue

        def read(info: tarfile.TarInfo = info) -> bytes:
            file = archive.extractfile(info)
            assert file is not None
            return file.read()

        yield _checked(info.name, info.size, read)


def _of_zip(path: Path) -> Iterator[Member | Refused]:
    try:
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                if info.is_dir():
                    continue
                if info.flag_bits & 1:
                    raise BadArchive("encrypted", "The archive is protected by a password.", "Pack it without one.")
                if info.external_attr >> 28 == 0xA:
                    yield _link(info.filename)
                    continue
                yield _checked(info.filename, info.file_size, partial(archive.read, info))
    except (zipfile.BadZipFile, EOFError, zlib.error, NotImplementedError) as error:
        raise _damaged(error) from error


def _checked(name: str, size: int, read: Callable[[], bytes]) -> Member | Refused:
    parts = PurePosixPath(name.replace("\\", "/"))
    if parts.is_absolute() or ".." in parts.parts:
        return Refused(
            name, "unsafe-name", "The name leads out of the archive.", "Pack the folder with relative names."
        )
    if size > LARGEST_FILE:
        return Refused(name, "too-large", f"The file holds {size:,} bytes.", "Cut it into clips of single words.")
    return Member(parts.as_posix(), size, read)


def _guarded(path: Path, files: Iterator[Member | Refused]) -> Iterator[Member | Refused]:
    packed, total = max(1, path.stat().st_size), 0
    for count, file in enumerate(files):
        total += file.size if isinstance(file, Member) else 0
        if total > LARGEST_TOTAL or count > MOST_FILES or (total > FREE_BYTES and total > LARGEST_RATIO * packed):
            raise BadArchive(
                "bomb",
                f"The archive unpacks to far more than it holds: {total:,} bytes from {packed:,}.",
                "Upload the recordings in several smaller archives.",
            )
        yield file


def _link(name: str) -> Refused:
    return Refused(name, "no-file", "This is a link or a device, not a file.", "Pack the recording itself.")


def _damaged(error: Exception) -> BadArchive:
    return BadArchive(
        "damaged-archive",
        f"The archive is damaged or incomplete: {error}.",
        "Pack it again, or repeat the upload if it was interrupted.",
    )
