"""A corpus of hostile and broken archives, made on the spot: each with what must come of it."""

from __future__ import annotations

import gzip
import io
import os
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from isal import igzip

from tests.unit.audio.recordings import by_ffmpeg, encoded, noise, plain_wav, wav

MARK = "9999999"
GOOD = "good/a.wav"
"""Is in every archive that can be read, and must come through."""
MIB = 2**20


@dataclass(frozen=True)
class Hostile:
    """One kind: how it is written, and the code with which it is refused or its file is skipped.

    Without a code it does no harm, and its files are taken. Damage of the whole archive may follow a file's.
    """

    write: Callable[[Path], object]
    code: str = ""
    whole: bool = False
    """The archive as a whole is refused."""


# --- tar --------------------------------------------------------------------------------------------------------------


def header(name: str | bytes = "bad/x.wav", size: int = 0, kind: bytes = tarfile.REGTYPE, **fields: Any) -> bytes:
    """Write a header by hand: GNU's form, which names of any bytes fit into."""
    info = tarfile.TarInfo()
    info.type = kind
    for field, value in fields.items():
        setattr(info, field, value)
    block = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    block[:100] = (name.encode() if isinstance(name, str) else name)[:100].ljust(100, b"\0")
    block[124:136] = _size(size)
    return checked(block)


def checked(block: bytearray) -> bytes:
    """Put the right checksum into a header."""
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def _size(size: int) -> bytes:
    if 0 <= size < 8**11:
        return b"%011o\0" % size
    return (b"\xff" if size < 0 else b"\x80") + size.to_bytes(11, "big", signed=True)


def padded(content: bytes) -> bytes:
    """Fill up to whole blocks."""
    return content + bytes(-len(content) % 512)


def entry(name: str | bytes, content: bytes | None = None, **fields: Any) -> bytes:
    """A header and its file."""
    content = wav() if content is None else content
    return header(name, len(content), **fields) + padded(content)


def pax(records: dict[str, str | bytes], kind: bytes = tarfile.XHDTYPE) -> bytes:
    """An extended header."""
    content = b""
    for key, value in records.items():
        line = b" " + key.encode() + b"=" + (value.encode() if isinstance(value, str) else value) + b"\n"
        length = len(line) + len(str(len(line) + len(str(len(line)))))
        content += str(length).encode() + line
    return header("pax", len(content), kind) + padded(content)


def tape(*parts: bytes, first: bytes | None = None, end: bytes = bytes(1024)) -> bytes:
    """A tar with one good recording before what is hostile."""
    return (entry(GOOD) if first is None else first) + b"".join(parts) + end


def tars(*parts: bytes, **options: Any) -> Callable[[Path], object]:
    """Write a tar."""
    return writes(tape(*parts, **options))


def writes(content: bytes) -> Callable[[Path], object]:
    """Write bytes."""
    return lambda path: path.write_bytes(content)


def packed(content: bytes) -> bytes:
    """A tar.gz whose last file is a long one with a content that does not pack."""
    return gzip.compress(tape(entry("bad/x.wav", content)), 1)


def streams(parts: Callable[[], Iterable[bytes]]) -> Callable[[Path], object]:
    """Write a large tar.gz, part after part."""

    def write(path: Path) -> None:
        with igzip.open(path, "wb", compresslevel=1) as file:
            file.write(entry(GOOD))
            for part in parts():
                file.write(part)
            file.write(bytes(1024))

    return write


def many(count: int, part: Callable[[int], bytes]) -> Callable[[Path], object]:
    """Write many parts that are alike."""
    return streams(lambda: map(part, range(count)))


def again(count: int, part: bytes) -> Callable[[Path], object]:
    """Write one part over and over."""
    return streams(lambda: repeat(part, count))


def numbered(content: bytes) -> Callable[[int], bytes]:
    """Write a file under names that differ; a million of them must not take minutes."""
    blank = entry(f"bad/speaker{MARK}.wav", content)
    place, total = blank.index(MARK.encode()), int(blank[148:154], 8)

    def part(number: int) -> bytes:
        digits = b"%07d" % number
        checksum = b"%06o" % (total + sum(digits) - sum(MARK.encode()))
        return blank[:place] + digits + blank[place + 7 : 148] + checksum + blank[154:]

    return part


def with_number(blank: bytes) -> Callable[[int], bytes]:
    """Put a number into an extended header, whose checksum covers only its first block."""
    return lambda number: blank.replace(MARK.encode(), b"%07d" % number)


def hollow(size: int) -> Callable[[Path], object]:
    """Write a tar with a large file of nothing that takes no space on disk."""

    def write(path: Path) -> None:
        path.write_bytes(tape(header("bad/x.wav", size), end=b""))
        os.truncate(path, path.stat().st_size + size + 1024)

    return write


# --- zip --------------------------------------------------------------------------------------------------------------


def zips(
    fill: Callable[[zipfile.ZipFile], object], change: Callable[[bytearray], object] | None = None, cut: int = 0
) -> Callable[[Path], object]:
    """Write a zip with one good recording and what `fill` adds; then change its bytes, or cut some off."""

    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(GOOD, wav())
            fill(archive)
        content = bytearray(path.read_bytes())
        if change:
            change(content)
        path.write_bytes(content[: len(content) - cut])

    return write


def add(name: str, content: bytes | None = None, **fields: Any) -> Callable[[zipfile.ZipFile], object]:
    """Add a file whose directory entry says what `fields` say."""

    def fill(archive: zipfile.ZipFile) -> None:
        info = zipfile.ZipInfo("x")
        info.filename = info.orig_filename = name
        info.compress_type = fields.pop("method", zipfile.ZIP_DEFLATED)
        for field, value in fields.items():
            setattr(info, field, value)
        archive.writestr(info, wav() if content is None else content)

    return fill


def lying(offset: int, form: str, value: int, recording: bytes | None = None) -> Callable[[Path], object]:
    """Write a zip whose directory and local header say something else; offsets as in APPNOTE.TXT, 4.3.12."""

    def change(content: bytearray) -> None:
        name = b"bad/x.wav"
        struct.pack_into(form, content, content.rindex(name) - 46 + offset, value)
        struct.pack_into(form, content, content.index(name) - 30 + offset - 2, value)

    return zips(add("bad/x.wav", recording), change)


def renamed(content: bytearray) -> None:
    """Change the name in a local header alone."""
    place = content.index(b"bad/x.wav")
    content[place : place + 3] = b"BAD"


def overlapping(path: Path) -> None:
    """Many entries of one file's bytes, as David Fifield's bombs have (2019)."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(GOOD, encoded(noise(16000)))
        first = archive.infolist()[0]
        for number in range(50):
            twin = zipfile.ZipInfo(f"bad/{number}.wav")
            for field in ("compress_type", "CRC", "compress_size", "file_size", "header_offset"):
                setattr(twin, field, getattr(first, field))
            archive.filelist.append(twin)
            archive.NameToInfo[twin.filename] = twin
        archive._didModify = True


def large_directory(path: Path) -> None:
    """An end record that takes the whole file for the directory."""
    size = 80 * MIB
    with path.open("wb") as file:
        file.write(b"PK\x03\x04")
        file.truncate(size)
        file.seek(0, io.SEEK_END)
        file.write(struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, 1, 1, size, 0, 0))


def million_entries(path: Path) -> None:
    """A directory of a million entries of nothing."""
    one = struct.pack("<4s6H3I5H2I", b"PK\x01\x02", 20, 20, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0) + b"x"
    count = 1_000_000
    with path.open("wb") as file:
        file.write(struct.pack("<4s5H3I2H", b"PK\x03\x04", 20, 0, 0, 0, 0, 0, 0, 0, 1, 0) + b"x")
        for _ in range(100):
            file.write(one * (count // 100))
        file.write(struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, len(one) * count, 31, 0))


# --- recordings -------------------------------------------------------------------------------------------------------


def floats(*values: float) -> bytes:
    """A wav of floating point samples."""
    return encoded(np.array([*values] * 100, np.float32), subtype="FLOAT")


def long_flac(hours: float, channels: int = 1) -> bytes:
    """Silence in little space."""
    file = io.BytesIO()
    with soundfile.SoundFile(file, "w", 16000, channels, "PCM_16", format="FLAC", compression_level=0) as recording:
        for _ in range(int(hours * 60)):
            recording.write(np.zeros((60 * 16000, channels), np.int16))
    return file.getvalue()


def many_channels() -> bytes:
    """A wav that claims 65,535 channels."""
    content = bytearray(plain_wav(noise(100)))
    struct.pack_into("<HIIH", content, 22, 0xFFFF, 16000, 16000 * 0xFFFF * 2 % 2**32, 0xFFFE)
    return bytes(content)


NOISE = noise(200_000).tobytes()
PHONE = by_ffmpeg(noise(16000))
GIF = b"GIF89a" + bytes(506)

RECORDINGS: dict[str, tuple[bytes, str]] = {
    "nothing in the file": (b"", "empty-file"),
    "a clip without samples": (plain_wav(noise(0)), "no-samples"),
    "a wav header that claims more than there is": (plain_wav(noise(100), claimed=40_000), "truncated"),
    "a 24-bit wav that ends early": (encoded(noise(8000), subtype="PCM_24")[:-3000], "truncated"),
    "a wav header that claims ten hours": (plain_wav(noise(100), claimed=2 * 36_000 * 16000), "too-long"),
    "a wav of 65,535 channels": (many_channels(), "no-samples"),
    "a wav at 1 Hz": (plain_wav(noise(100), rate=1), "sample-rate"),
    "a wav at 2 GHz": (plain_wav(noise(100), rate=2_000_000_000), "sample-rate"),
    "a wav whose samples take no bytes": (plain_wav(noise(800), width=0), ""),
    "a wav whose samples take one byte of sixteen bits": (plain_wav(noise(800), width=1), ""),
    "a wav whose samples take twice their bytes": (plain_wav(noise(800), width=4), ""),
    "samples that are no numbers": (floats(0.1, float("nan")), "not-finite"),
    "infinite samples": (floats(0.1, float("inf")), "not-finite"),
    "a flac with a hole": (encoded(noise(64000), form="FLAC")[:40_000], "damaged"),
    "a page in html": (b"<html><body>404 Not Found</body></html>" * 20, "damaged"),
    "a picture": (GIF, "damaged"),
    "a program": (b"\x7fELF" + bytes(4000), "damaged"),
    "an empty RIFF": (b"RIFF\x04\0\0\0WAVE", "damaged"),
    "a chunk of wav that points past the end": (b"RIFF\xff\xff\xff\xffWAVEfmt \xff\xff\xff\xff" + bytes(99), "damaged"),
    "a film's container with nothing in it": (b"\0\0\0\x18ftypmp42" + bytes(200), "damaged"),
    "a telephone recording of a coding that nobody knows": (
        PHONE.replace(b"mp4a", b"zzzz").replace(b"esds", b"free"), "damaged"
    ),
    "a telephone recording cut off": (PHONE[: len(PHONE) // 2], "damaged"),
    "a telephone recording with noise in its tables": (
        PHONE[:-400] + noise(200).tobytes(), "no-samples"
    ),
}  # fmt: skip


# --- all --------------------------------------------------------------------------------------------------------------

LONG_NAME = "bad/" + "x" * 5000 + ".wav"
SMILE = "\N{GRINNING FACE}"
TINY = plain_wav(noise(4))
LONG_NOISE = np.tile(noise(2**20), 31)
BAD, LONG = "bad/x.wav", tarfile.GNUTYPE_LONGNAME
TWO_GIB = 2 * 2**30

KINDS: dict[str, Hostile] = {
    # names
    "an absolute path": Hostile(tars(entry("/etc/x.wav")), "unsafe-name"),
    "a path that leads out": Hostile(tars(entry("../../x.wav")), "unsafe-name"),
    "a path that leads out from within": Hostile(tars(entry("bad/../../x.wav")), "unsafe-name"),
    "a path that leads out in Windows' way": Hostile(tars(entry("bad\\..\\..\\x.wav")), "unsafe-name"),
    "a drive of Windows": Hostile(tars(entry("C:\\bad\\x.wav")), "unsafe-name"),
    "an absolute path in an extended header": Hostile(tars(pax({"path": "/etc/x.wav"}), entry(BAD)), "unsafe-name"),
    "control characters": Hostile(tars(entry("bad/\x1b[2Jx.wav")), "invisible-letters"),
    "NUL in an extended header": Hostile(tars(pax({"path": "bad/a\0b.wav"}), entry("bad/x.wav")), "invisible-letters"),
    "writing from right to left": Hostile(tars(entry("bad/\u202evaw.exe.wav")), "invisible-letters"),
    "a name of 5,000 letters": Hostile(tars(pax({"path": LONG_NAME}), entry("bad/x.wav")), "long-name"),
    "a word of 300 letters": Hostile(tars(pax({"path": "b" * 300 + "/x.wav"}), entry("bad/x.wav")), "long-name"),
    "a name of nothing": Hostile(tars(entry(b".")), "unsafe-name"),
    "the same name twice": Hostile(tars(entry("bad/x.wav"), entry("bad/x.wav")), "same-name"),
    "the same name in two ways": Hostile(tars(entry("bad/x.wav"), entry("./bad//x.wav")), "same-name"),
    "a name that is not UTF-8": Hostile(tars(entry(b"bad/\xfcml\xe4ut.wav"))),
    "names that differ in case alone": Hostile(tars(entry("bad/x.wav"), entry("bad/X.WAV"))),
    "names that Windows reserves": Hostile(tars(entry("CON/aux.wav"), entry("bad/NUL.wav"))),
    # kinds of entries
    "a symbolic link": Hostile(tars(header("bad/x.wav", kind=tarfile.SYMTYPE, linkname="/etc/passwd")), "no-file"),
    "a hard link": Hostile(tars(header("bad/x.wav", kind=tarfile.LNKTYPE, linkname="../../x")), "no-file"),
    "a character device": Hostile(tars(header("bad/x.wav", kind=tarfile.CHRTYPE, devmajor=1, devminor=5)), "no-file"),
    "a block device": Hostile(tars(header("bad/x.wav", kind=tarfile.BLKTYPE)), "no-file"),
    "a fifo": Hostile(tars(header("bad/x.wav", kind=tarfile.FIFOTYPE)), "no-file"),
    "a link to a folder and a file through it": Hostile(
        tars(header("bad", kind=tarfile.SYMTYPE, linkname="/tmp"), entry("bad/x.wav")), "no-file"
    ),
    "a sparse file": Hostile(
        tars(pax({"GNU.sparse.map": "0,100", "GNU.sparse.size": str(2**40)}), entry("bad/x.wav", bytes(100))), "no-file"
    ),
    "an archive in the archive": Hostile(tars(entry("bad/x.zip", b"PK\x03\x04")), "nested-archive"),
    # headers of tar
    "a file that claims 2 GiB": Hostile(tars(header("bad/x.wav", TWO_GIB)), "too-large"),
    "a file that claims 8 EiB": Hostile(tars(header("bad/x.wav", 2**62)), "too-large"),
    "a file of negative size": Hostile(tars(header("bad/x.wav", -512)), "damaged-archive"),
    "an extended header of negative size": Hostile(tars(pax({"size": "-1024"}), entry(BAD)), "damaged-archive"),
    "a long name of 8 GiB": Hostile(tars(header("long", 8 * 2**30, LONG)), "damaged-archive"),
    "long names without end": Hostile(
        tars(header("long", 1, LONG) * 3 + bytes(512), end=b"") , "damaged-archive"
    ),
    "a thousand headers for one file": Hostile(tars(pax({"comment": "x"}) * 1000, entry(BAD)), "damaged-archive"),
    "an extended header that takes a day to parse": Hostile(
        tars(header("pax", MIB, tarfile.XHDTYPE) + b"1" * MIB, entry("bad/x.wav")), "damaged-archive"
    ),
    "a map of a million holes": Hostile(
        tars(
            pax({"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}),
            entry("bad/x.wav", b"1000000\n" + b"0\n" * 500_000),
        ),
        "damaged-archive",
    ),
    "a wrong checksum": Hostile(tars(b"x" * 512), "damaged-archive"),
    "no end mark": Hostile(tars(end=b""), "damaged-archive"),
    "cut off in the middle of a file": Hostile(writes(tape(entry("bad/x.wav"))[:-2000]), "cut-off"),
    # streams
    "a gzip cut off": Hostile(writes(packed(NOISE)[:-1000]), "unreadable"),
    "a gzip with a wrong checksum": Hostile(writes(packed(NOISE)[:-8] + bytes(8)), "unreadable"),
    "gzip in gzip": Hostile(writes(gzip.compress(packed(NOISE))), "no-archive", True),
    "a picture that is a tar further behind": Hostile(writes(GIF + tape()), "no-archive", True),
    "7z": Hostile(writes(b"7z\xbc\xaf\x27\x1c" + bytes(500)), "no-archive", True),
    "nothing at all": Hostile(writes(b""), "no-archive", True),
    # zip
    "a path that leads out of a zip": Hostile(zips(add("../x.wav")), "unsafe-name"),
    "a link in a zip": Hostile(zips(add("bad/x.wav", b"/etc/passwd", external_attr=0o120777 << 16)), "no-file"),
    "a device in a zip": Hostile(zips(add("bad/x.wav", external_attr=0o020666 << 16)), "no-file"),
    "a name in code page 437": Hostile(zips(add("bad/\u00fc.wav"))),
    "bzip2 in a zip": Hostile(zips(add("bad/x.wav", method=zipfile.ZIP_BZIP2)), "compression"),
    "lzma in a zip": Hostile(zips(add("bad/x.wav", method=zipfile.ZIP_LZMA)), "compression"),
    "a method that nobody knows": Hostile(lying(10, "<H", 77), "compression"),
    "a password": Hostile(lying(8, "<H", 1), "encrypted", True),
    "a wrong CRC": Hostile(lying(16, "<I", 1), "unreadable"),
    "a zip header that claims less": Hostile(lying(24, "<I", 10, bytes(MIB)), "unreadable"),
    "a zip header that claims more": Hostile(lying(24, "<I", MIB)),
    "a zip header that claims 2 GiB": Hostile(lying(24, "<I", TWO_GIB), "bomb", True),
    "two names for one file of a zip": Hostile(zips(add("bad/x.wav"), renamed), "unreadable"),
    "zip64": Hostile(zips(lambda archive: archive.open("bad/x.wav", "w", force_zip64=True).close()), "empty-file"),
    "files that lie one over the other": Hostile(overlapping, "overlap", True),
    "a directory as large as the zip": Hostile(large_directory, "damaged-archive", True),
    "a zip cut off": Hostile(zips(add("bad/x.wav"), cut=30), "damaged-archive", True),
    # polyglots
    "a wav that is a zip further behind": Hostile(tars(entry("bad/x.wav", wav() + zlib.compress(b"PK\x03\x04")))),
    # recordings
    **{
        name: Hostile(tars(entry("bad/x.wav", content)), code) for name, (content, code) in RECORDINGS.items()
    },
}  # fmt: skip

BOMBS: dict[str, Hostile] = {
    "1 GiB of nothing in one file": Hostile(
        streams(lambda: [header("bad/x.wav", 2**30), *repeat(bytes(MIB), 1024)]), "bomb", True
    ),
    "a thousand files of nothing": Hostile(again(1000, entry("bad/x.wav", bytes(MIB))), "bomb", True),
    "files of 64 MiB": Hostile(many(2, lambda n: entry(f"bad/{n}.wav", plain_wav(LONG_NOISE)))),
    "ten hours of wav": Hostile(hollow(36_000 * 32_000), "too-large"),
    "more than an hour of flac": Hostile(streams(lambda: [entry("bad/x.flac", long_flac(1.1))]), "too-long"),
    "half an hour of flac in stereo": Hostile(streams(lambda: [entry("bad/x.flac", long_flac(0.5, channels=2))])),
    "a million members": Hostile(again(300_001, entry("bad/x.wav", b"")), "too-many-files", True),
    "a million clips": Hostile(many(299_000, numbered(TINY))),
    "names of 500 letters": Hostile(
        many(60_000, with_number(pax({"path": f"bad/{MARK}{SMILE * 480}.wav"}) + header())), "too-many-letters", True
    ),
    "global headers that pile up": Hostile(
        many(12_000, with_number(pax({f"comment{MARK}": NOISE[:30_000]}, tarfile.XGLTYPE) + entry(BAD, TINY))),
        "same-name",
    ),
    "a list of a million names": Hostile(
        tars(entry("testing_list.txt", b"".join(b"%d\n" % n for n in range(1_000_000)))), "list-too-large"
    ),
    "a zip header that claims ten bytes of 400 MiB": Hostile(lying(24, "<I", 10, bytes(400 * MIB)), "unreadable"),
    "a million entries in a zip": Hostile(million_entries, "damaged-archive", True),
}
