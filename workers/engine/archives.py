"""Archives and folders as streams of files: never extracted to disk, never trusted.

Only regular files with plain relative names come through. Links, devices and names that lead out are reported as
problems, and limits on bytes, files and names stop archives that unpack to far more than they hold. An archive that
ends too soon gives what lies before the damage, and then the damage as a problem.

Whatever comes in, memory stays bounded: one file is in memory at a time, of at most `LARGEST_FILE` bytes, and headers
and directories of archives are read up to a limit.
"""

from __future__ import annotations

import io
import re
import stat
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from isal import igzip_threaded, isal_zlib

from workers.engine.errors import EngineError, UnusableFile

LARGEST_FILE = 64 * 2**20
LARGEST_TOTAL = 64 * 2**30
MOST_FILES = 300_000
"""What is kept of each file takes about half a kilobyte."""
LONGEST_NAME = 500
MOST_LETTERS = 24 * 2**20
"""Of all names together: they are kept to find those that come twice."""
LARGEST_RATIO = 200
"""Bytes out for each byte in: silence in flac reaches about 100, bombs reach thousands."""
FREE_BYTES = 64 * 2**20
"""Below this much output the ratio is not looked at."""
LARGEST_HEADERS = 32 * 2**10
"""Of one file in a tar: names, extended attributes, maps of holes."""
LARGEST_DIRECTORY = 64 * 2**20
"""Of a zip."""

KINDS = ".tar.gz, .tar or .zip"
PACK_AGAIN = "Pack it again, or repeat the upload if it was interrupted."
GZIP, ZIP = b"\x1f\x8b", (b"PK\x03\x04", b"PK\x05\x06")
ZIP_ENTRY = b"PK\x01\x02"
BLOCK = 2**18
"""Bytes that are unpacked ahead at once: so much before the damage of a broken archive may be lost. Of a quarter of it
both threads would wait for each other a quarter of their time."""
INVISIBLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""Control characters, and those that turn the direction of writing, so that a name reads as another."""
DRIVE = re.compile(r"[A-Za-z]:")

DAMAGE = (
    tarfile.TarError, zipfile.BadZipFile, zlib.error, isal_zlib.error, EOFError, OSError, ValueError, OverflowError,
    RuntimeError,
)  # fmt: skip
"""What isal and the standard library raise for damaged or hostile archives, nested headers without end included."""


@dataclass(frozen=True, slots=True)
class Member:
    """One file: its name with forward slashes, its content read on demand, and the share of the source before it.

    `read` must be called before the next member is asked for; it raises `UnreadableMember` where the file is damaged.
    """

    name: str
    size: int
    read: Callable[[], bytes]
    share: float


@dataclass(frozen=True, slots=True)
class Refused:
    """A file that does not come through, or the damage that ends an archive, and why."""

    name: str
    code: str
    reason: str
    remedy: str


class BadArchive(EngineError):
    """The archive as a whole cannot be read."""


class UnreadableMember(UnusableFile):
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
    guard = _Guard(path.stat().st_size)
    # By its first bytes alone: a tar that holds a zip ends like one.
    yield from _of_zip(path, guard) if magic in ZIP else _of_tar(path, guard, is_packed=magic.startswith(GZIP))


def _of_folder(path: Path) -> Iterator[Member | Refused]:
    files = sorted(path.rglob("*"))
    for index, file in enumerate(files):
        name = file.relative_to(path).as_posix()
        if file.is_symlink():
            yield _no_file(name)
        elif file.is_file():
            yield _checked(name, file.stat().st_size, partial(_read, file.read_bytes), index / len(files))


class _Guard:
    """Stops what unpacks to far more than it holds, or would fill the memory with names."""

    def __init__(self, packed: int) -> None:
        self._packed = packed
        self._most = min(LARGEST_TOTAL, max(FREE_BYTES, LARGEST_RATIO * packed))
        self._entries = self._letters = 0

    def take(self, name: str) -> None:
        """Count an entry of the archive, folders included."""
        self._entries += 1
        self._letters += len(name)
        if self._entries > MOST_FILES:
            raise BadArchive(
                "too-many-files", f"The archive holds more than {MOST_FILES:,} files and folders.",
                "Upload the recordings in several smaller archives.",
            )  # fmt: skip
        if self._letters > MOST_LETTERS:
            raise BadArchive(
                "too-many-letters", f"The names of the files hold more than {MOST_LETTERS:,} letters together.",
                "Give files and folders shorter names.",
            )  # fmt: skip

    def unpack(self, total: int) -> None:
        """Look at how many bytes the archive has become so far."""
        if total > self._most:
            raise BadArchive(
                "bomb", f"The archive unpacks to far more than it holds: {total:,} bytes from {self._packed:,}.",
                "Upload the recordings in several smaller archives.",
            )  # fmt: skip


# --- tar --------------------------------------------------------------------------------------------------------------


class _Header(tarfile.TarInfo):
    """A tar's header. Those of plain files, nearly all, are read here, in a quarter of the library's time."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _Header:
        """Read a header's block: only name and size of a plain file, whatever else there is by the library."""
        checksum, size = buf[148:154], buf[124:135]
        if (
            buf[156:157] == tarfile.REGTYPE and buf[257:262] == b"ustar" and not buf[345:346].strip(b"\0")
            and checksum.isdigit() and size.isdigit()
            and sum(buf) == int(checksum, 8) + sum(buf[148:156]) - 8 * ord(" ")
        ):  # fmt: skip
            header = cls(buf[:100].partition(b"\0")[0].decode(encoding, errors))
            header.size = int(size, 8)
            return header
        return super().frombuf(buf, encoding, errors)


class _Tape:
    """A tar's bytes as `tarfile` reads them: only forward, few at once, and it remembers the damage."""

    def __init__(self, raw: io.FileIO, file: io.BufferedReader, size: int, guard: _Guard) -> None:
        self._raw, self._file, self._size, self._guard = raw, file, size, guard
        self._position = self._headers = self._look_again = 0
        self._share = 0.0
        self.last_block = b""
        self.damage: Exception | None = None

    @property
    def share(self) -> float:
        """How much of the file has been read."""
        # Asking the system costs as much as decoding a clip.
        if self._position >= self._look_again:
            self._share, self._look_again = self._raw.tell() / self._size, self._position + BLOCK
        return self._share

    def read(self, size: int) -> bytes:
        """Read headers."""
        self._headers += size
        if self._headers > LARGEST_HEADERS:
            raise tarfile.ReadError(f"the headers of one file are larger than {LARGEST_HEADERS:,} bytes")
        self.last_block = self._take(size)
        return self.last_block

    def content(self, header: tarfile.TarInfo) -> bytes:
        """Read a file."""
        self.seek(header.offset_data)
        return self._take(header.size)

    def next_file(self) -> None:
        """Allow headers anew."""
        self._headers = 0

    def seek(self, position: int) -> int:
        """Go on to a place further behind."""
        if position < self._position:
            raise tarfile.ReadError("a header points backwards")
        while self._position < position and self._take(min(BLOCK, position - self._position)):
            pass
        return self._position

    def tell(self) -> int:
        """Bytes read so far."""
        return self._position

    def _take(self, size: int) -> bytes:
        try:
            content = self._file.read(size)
        except DAMAGE as error:
            self.damage = error
            raise
        self._position += len(content)
        self._guard.unpack(self._position)
        return content


def _of_tar(path: Path, guard: _Guard, *, is_packed: bool) -> Iterator[Member | Refused]:
    begun = False
    with path.open("rb", buffering=0) as raw, _unpacked(raw, is_packed=is_packed) as file:
        tape = _Tape(raw, file, path.stat().st_size, guard)
        try:
            for member in _of_tape(tape, guard):
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


def _unpacked(raw: io.FileIO, *, is_packed: bool) -> io.BufferedReader:
    # A thread unpacks ahead, while this one decodes what is there.
    return igzip_threaded.open(raw, block_size=BLOCK) if is_packed else io.BufferedReader(raw)


def _of_tape(tape: _Tape, guard: _Guard) -> Iterator[Member | Refused]:
    with tarfile.open(fileobj=tape, mode="r:", tarinfo=_Header) as archive:  # type: ignore[call-overload]
        while header := archive.next():
            # The archive would remember every member and every global header.
            archive.members = []
            archive.pax_headers = {}
            tape.next_file()
            guard.take(header.name)
            if header.size < 0:
                raise tarfile.ReadError("a header claims less than nothing")
            if header.isdir():
                continue
            if header.isfile() and not header.issparse():
                yield _checked(header.name, header.size, partial(_read_tape, tape, header), tape.share)
            else:
                yield _no_file(header.name)
            if tape.damage:
                raise tape.damage
    if tape.last_block.strip(b"\0") or not tape.last_block:
        # `tarfile` takes a broken header for the end.
        raise tarfile.ReadError("its end mark is missing")


def _read_tape(tape: _Tape, header: tarfile.TarInfo) -> bytes:
    content = _read(partial(tape.content, header))
    if len(content) < header.size:
        raise UnreadableMember("cut-off", "The archive ends in the middle of this file.", PACK_AGAIN)
    return content


# --- zip --------------------------------------------------------------------------------------------------------------


class _ZipBytes(io.BufferedReader):
    """A zip's bytes as `zipfile` reads them: its directory, which it takes at once, must not fill the memory."""

    def read(self, size: int | None = -1, /) -> bytes:
        """Read at most as much as a directory may hold, with as many entries as an archive may."""
        if size is not None and size > LARGEST_DIRECTORY:
            raise zipfile.BadZipFile(f"its directory is larger than {LARGEST_DIRECTORY:,} bytes")
        content = super().read(size)
        if content.count(ZIP_ENTRY) > MOST_FILES:
            raise zipfile.BadZipFile(f"it holds more than {MOST_FILES:,} files")
        return content


def _of_zip(path: Path, guard: _Guard) -> Iterator[Member | Refused]:
    with _ZipBytes(io.FileIO(path)) as file:
        try:
            archive = zipfile.ZipFile(file)
        except DAMAGE as error:
            raise _damaged(path, error) from error
        entries = archive.infolist()
        _require_plain(entries, path, guard)
        for index, entry in enumerate(entries):
            guard.take(entry.filename)
            if entry.is_dir():
                continue
            if stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG):
                yield _no_file(_zip_name(entry))
            elif entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                yield _other_compression(_zip_name(entry))
            else:
                read = partial(_read, partial(_zip_content, archive, entry))
                yield _checked(_zip_name(entry), entry.file_size, read, index / len(entries))


def _require_plain(entries: list[zipfile.ZipInfo], path: Path, guard: _Guard) -> None:
    """Refuse a zip whose entries are encrypted, lie one over the other, or unpack to too much."""
    if any(entry.flag_bits & 1 for entry in entries):
        raise BadArchive("encrypted", "The archive is protected by a password.", "Pack it without one.")
    if sum(entry.compress_size for entry in entries) > path.stat().st_size:
        raise BadArchive(
            "overlap", "The files of the archive lie one over the other, as only bombs are made.",
            "Pack the recordings with a common program.",
        )  # fmt: skip
    guard.unpack(sum(entry.file_size for entry in entries))


def _zip_content(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    # `ZipFile.read` inflates all that there is before it looks at the size that the entry claims.
    with archive.open(entry) as file:
        return file.read(entry.file_size + 1)


def _zip_name(entry: zipfile.ZipInfo) -> str:
    """Read a name as UTF-8 where it is: many programs write it without the flag that says so."""
    if entry.flag_bits & 0x800:
        return entry.orig_filename
    try:
        return entry.orig_filename.encode("cp437").decode()
    except UnicodeError:
        return entry.orig_filename


# --- limits -----------------------------------------------------------------------------------------------------------


def _checked(name: str, size: int, read: Callable[[], bytes], share: float) -> Member | Refused:
    readable = _readable(name)
    parts = [part for part in readable.split("/") if part not in ("", ".")]
    if readable.startswith("/") or DRIVE.match(readable) or ".." in parts or not parts:
        return _refused(
            readable, "unsafe-name", "The name leads out of the archive.", "Pack the folder with plain names."
        )
    if INVISIBLE.search(readable):
        return _refused(
            readable, "invisible-letters",
            "The name holds control characters, or such as turn the direction of writing.", "Rename file and folder.",
        )  # fmt: skip
    if len(readable) > LONGEST_NAME:
        return _refused(
            readable, "long-name", f"The name has more than {LONGEST_NAME} letters.",
            "Give file and folders shorter names.",
        )  # fmt: skip
    if size > LARGEST_FILE:
        return _refused(
            readable, "too-large", f"The file holds {size:,} bytes; {LARGEST_FILE:,} are the most.",
            "Cut it into clips of single words.",
        )  # fmt: skip
    return Member("/".join(parts), size, read, share)


def _read(read: Callable[[], bytes]) -> bytes:
    try:
        return read()
    except DAMAGE as error:
        raise UnreadableMember("unreadable", f"The file cannot be read: {_text(error)}.", PACK_AGAIN) from error


def _readable(name: str) -> str:
    """Mend a name: forward slashes, and letters written one way.

    Bytes of an old encoding came as lone surrogates, which no database takes; some systems write ü as two characters.
    """
    name = name.replace("\\", "/")
    if name.isascii():
        return name
    content = name.encode("utf-8", "surrogateescape")
    try:
        text = content.decode()
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    return unicodedata.normalize("NFC", text)


def _refused(name: str, code: str, reason: str, remedy: str) -> Refused:
    return Refused(INVISIBLE.sub("�", _readable(name[:LONGEST_NAME])), code, reason, remedy)


def _no_file(name: str) -> Refused:
    return _refused(
        name, "no-file", "This is a link, a device or a sparse file, not a plain file.", "Pack the recording itself."
    )


def _other_compression(name: str) -> Refused:
    return _refused(
        name, "compression", "The file is packed by a method that Edgewise does not read.",
        "Pack it as zip with the usual method, deflate, or as .tar.gz.",
    )  # fmt: skip


def _text(error: Exception) -> str:
    return str(error).rstrip(".") or type(error).__name__


def _damaged(path: Path, error: Exception) -> BadArchive:
    return BadArchive("damaged-archive", f"{path.name} is damaged or incomplete: {_text(error)}.", PACK_AGAIN)


def _damage(path: Path, error: Exception) -> Refused:
    reason = f"The archive is damaged or incomplete: {_text(error)}. Only what lies before the damage was read."
    return Refused(path.name, "damaged-archive", reason, PACK_AGAIN)
