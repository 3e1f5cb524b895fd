"""Archives and folders as streams of files: never extracted to disk, never trusted.

Only regular files with plain relative names come through. Links, devices and names that lead out are reported as
problems, and size limits stop archives that unpack to far more than they hold. An archive that ends too soon gives
what lies before the damage, and then the damage as a problem.
"""

from __future__ import annotations

import io
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from isal import igzip, isal_zlib

from workers.engine.errors import EngineError

LARGEST_FILE = 256 * 2**20
LARGEST_TOTAL = 64 * 2**30
MOST_FILES = 2_000_000
LARGEST_RATIO = 200
"""Bytes out for each byte in: silence in flac reaches about 100, bombs reach thousands."""
FREE_BYTES = 64 * 2**20
"""Below this much output the ratio is not looked at."""

KINDS = ".tar.gz, .tar or .zip"
PACK_AGAIN = "Pack it again, or repeat the upload if it was interrupted."
GZIP, ZIP = b"\x1f\x8b", (b"PK\x03\x04", b"PK\x05\x06")
CONTROL = re.compile(r"[\x00-\x1f\x7f]")

DAMAGE = (
    tarfile.TarError, zipfile.BadZipFile, zlib.error, isal_zlib.error, EOFError, OSError, ValueError, OverflowError,
    RuntimeError,
)  # fmt: skip
"""What isal and the standard library raise for damaged or hostile archives, nested headers without end included."""


@dataclass(frozen=True)
class Member:
    """One file: its name with forward slashes, its content read on demand, and the share of the source before it.

    `read` must be called before the next member is asked for; it raises `UnreadableMember` where the file is damaged.
    """

    name: str
    size: int
    read: Callable[[], bytes]
    share: float


@dataclass(frozen=True)
class Refused:
    """A file that does not come through, or the damage that ends an archive, and why."""

    name: str
    code: str
    reason: str
    remedy: str


class BadArchive(EngineError):
    """The archive as a whole cannot be read."""


class UnreadableMember(EngineError):
    """One file of an archive cannot be read."""


def members(path: Path) -> Iterator[Member | Refused]:
    """Stream the files of a folder or archive, in their order.

    Raises:
        BadArchive: it is neither, is encrypted, is damaged before its first file, or unpacks to too much.
    """
    if path.is_dir():
        yield from _of_folder(path)
        return
    if not path.is_file():
        raise BadArchive("not-found", f"There is no file or folder {path.name}.", "Check the path.")
    with path.open("rb") as file:
        magic = file.read(4)
    # By its first bytes alone: a tar that holds a zip ends like one.
    files = _of_zip(path) if magic in ZIP else _of_tar(path, is_packed=magic.startswith(GZIP))
    yield from _guarded(path, files)


def _of_folder(path: Path) -> Iterator[Member | Refused]:
    files = sorted(path.rglob("*"))
    for index, file in enumerate(files):
        name = file.relative_to(path).as_posix()
        if file.is_symlink():
            yield _no_file(name)
        elif file.is_file():
            yield _checked(name, file.stat().st_size, partial(_read, file.read_bytes), index / len(files))


# --- tar --------------------------------------------------------------------------------------------------------------


class _Tape:
    """A tar's bytes as `tarfile` reads them: no more at once than one file may hold, and it remembers the damage."""

    def __init__(self, path: Path, raw: io.BufferedReader, file: io.BufferedReader | igzip.IGzipFile) -> None:
        self._size = path.stat().st_size
        self._raw = raw
        self._file = file
        self.last_block = b""
        self.damage: Exception | None = None

    @property
    def share(self) -> float:
        return self._raw.tell() / self._size

    def read(self, size: int) -> bytes:
        if size > LARGEST_FILE:
            raise tarfile.ReadError(f"a header claims {size:,} bytes")
        try:
            content = self._file.read(size)
        except DAMAGE as error:
            self.damage = error
            raise
        self.last_block = content[-tarfile.BLOCKSIZE :]
        return content

    def seek(self, position: int) -> int:
        return self._file.seek(position)

    def tell(self) -> int:
        return self._file.tell()


def _of_tar(path: Path, *, is_packed: bool) -> Iterator[Member | Refused]:
    begun = False
    with path.open("rb") as raw, igzip.IGzipFile(fileobj=raw, mode="rb") if is_packed else raw as file:
        tape = _Tape(path, raw, file)
        try:
            for member in _of_tape(tape):
                begun = True
                yield member
        except DAMAGE as error:
            if begun:
                yield _damage(path, error)
            elif tape.damage:
                raise _damaged(path, error) from error
            else:
                raise BadArchive(
                    "no-archive", f"{path.name} is no archive that Edgewise can read.", f"Pack the folder as {KINDS}."
                ) from error


def _of_tape(tape: _Tape) -> Iterator[Member | Refused]:
    with tarfile.open(fileobj=tape, mode="r:") as archive:  # type: ignore[call-overload]
        for info in archive:
            # The archive would remember every member: a million of them must not fill the memory.
            archive.members = []
            if info.isdir():
                continue
            if info.isfile() and not info.issparse():
                yield _checked(info.name, info.size, partial(_read_tape, tape, info), tape.share)
            else:
                yield _no_file(info.name)
            if tape.damage:
                raise tape.damage
    if tape.last_block.strip(b"\0") or not tape.last_block:
        # `tarfile` takes a broken header for the end.
        raise tarfile.ReadError("its end mark is missing")


def _read_tape(tape: _Tape, info: tarfile.TarInfo) -> bytes:
    tape.seek(info.offset_data)
    content = _read(partial(tape.read, info.size))
    if len(content) < info.size:
        raise UnreadableMember("cut-off", "The archive ends in the middle of this file.", PACK_AGAIN)
    return content


# --- zip --------------------------------------------------------------------------------------------------------------


def _of_zip(path: Path) -> Iterator[Member | Refused]:
    try:
        archive = zipfile.ZipFile(path)
    except DAMAGE as error:
        raise _damaged(path, error) from error
    with archive:
        entries = archive.infolist()
        for index, info in enumerate(entries):
            if info.is_dir():
                continue
            if info.flag_bits & 1:
                raise BadArchive("encrypted", "The archive is protected by a password.", "Pack it without one.")
            if info.external_attr >> 28 == 0xA:
                yield _no_file(info.filename)
                continue
            read = partial(_read, partial(archive.read, info))
            yield _checked(info.filename, info.file_size, read, index / len(entries))


# --- limits -----------------------------------------------------------------------------------------------------------


def _checked(name: str, size: int, read: Callable[[], bytes], share: float) -> Member | Refused:
    path = PurePosixPath(_readable(name).replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or CONTROL.search(str(path)):
        return Refused(
            CONTROL.sub("�", str(path)), "unsafe-name",
            "The name leads out of the archive, or holds control characters.", "Pack the folder with plain names.",
        )  # fmt: skip
    if size > LARGEST_FILE:
        return Refused(str(path), "too-large", f"The file holds {size:,} bytes.", "Cut it into clips of single words.")
    return Member(str(path), size, read, share)


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


def _read(read: Callable[[], bytes]) -> bytes:
    try:
        return read()
    except DAMAGE as error:
        raise UnreadableMember("unreadable", f"The file cannot be read: {_text(error)}.", PACK_AGAIN) from error


def _readable(name: str) -> str:
    """Mend a name in an old encoding: its bytes came as lone surrogates, which no database takes."""
    content = name.encode("utf-8", "surrogateescape")
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _no_file(name: str) -> Refused:
    return Refused(
        CONTROL.sub("�", _readable(name)), "no-file",
        "This is a link, a device or a sparse file, not a plain file.", "Pack the recording itself.",
    )  # fmt: skip


def _text(error: Exception) -> str:
    return str(error).rstrip(".") or type(error).__name__


def _damaged(path: Path, error: Exception) -> BadArchive:
    return BadArchive("damaged-archive", f"{path.name} is damaged or incomplete: {_text(error)}.", PACK_AGAIN)


def _damage(path: Path, error: Exception) -> Refused:
    reason = f"The archive is damaged or incomplete: {_text(error)}. Only what lies before the damage was read."
    return Refused(path.name, "damaged-archive", reason, PACK_AGAIN)
