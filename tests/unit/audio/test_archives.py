"""Archives as streams of files: what comes through, what is refused, and what is left of damaged ones."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.audio.recordings import folder, tar, wav, zipped
from workers.engine import archives
from workers.engine.archives import BadArchive, Member, Refused, UnreadableMember, members

FILES = {f"up/{number}.wav": wav(number) for number in range(40)}
LONG_FILES = {f"up/{number}.wav": wav(number, 16000) for number in range(40)}
"""More than is unpacked ahead."""


def contents(path: Path) -> dict[str, bytes]:
    return {member.name: member.read() for member in members(path) if isinstance(member, Member)}


def names_and_refusals(path: Path) -> tuple[list[str], list[Refused]]:
    """Read all, and pass over the files that cannot be read."""
    names, refusals = [], []
    for member in members(path):
        if isinstance(member, Refused):
            refusals.append(member)
            continue
        try:
            member.read()
        except UnreadableMember as error:
            refusals.append(Refused(member.name, error.code, error.reason, error.remedy))
        else:
            names.append(member.name)
    return names, refusals


def refused(path: Path) -> BadArchive:
    with pytest.raises(BadArchive) as caught:
        names_and_refusals(path)
    assert caught.value.remedy
    return caught.value


PACKERS: dict[str, Callable[[Path, Any], Path]] = {
    "data.tar": tar, "data.tar.gz": tar, "data.zip": zipped, "data": folder,
}  # fmt: skip


@pytest.mark.parametrize("name", PACKERS)
def test_every_kind_gives_the_same_files(tmp_path: Path, name: str) -> None:
    assert contents(PACKERS[name](tmp_path / name, FILES)) == FILES


def test_the_kind_is_told_by_content(tmp_path: Path) -> None:
    assert contents(zipped(tmp_path / "really-a-zip.tar.gz", FILES)) == FILES


def test_a_tar_that_ends_with_a_zip_is_a_tar(tmp_path: Path) -> None:
    inner = zipped(tmp_path / "inner.zip", {"a": b"b"}).read_bytes()
    assert list(contents(tar(tmp_path / "outer.tar", {**FILES, "z.zip": inner}))) == [*FILES, "z.zip"]


def test_the_share_grows(tmp_path: Path) -> None:
    shares = [member.share for member in members(tar(tmp_path / "data.tar", LONG_FILES)) if isinstance(member, Member)]
    assert shares == sorted(shares)
    assert shares[0] < 0.3
    assert 0.7 < shares[-1] <= 1


# Named, because gzip writes the time: processes that share the tests have to know each by the same name.
@pytest.mark.parametrize(
    "content",
    [b"", b"no archive at all", b"x" * 5000, gzip.compress(b"a letter" * 100)],
    ids=["nothing", "a sentence", "one letter", "gzip"],
)
def test_what_is_no_archive_says_so(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "data.tar.gz"
    path.write_bytes(content)
    error = refused(path)
    assert error.code == "no-archive"
    assert ".tar.gz, .tar or .zip" in error.remedy


def test_nothing_there(tmp_path: Path) -> None:
    assert refused(tmp_path / "missing.zip").code == "not-found"


@pytest.mark.parametrize("name", ["data.tar", "data.tar.gz"])
@pytest.mark.parametrize("share", [0.3, 0.61, 0.9])
def test_what_lies_before_the_damage_is_kept(tmp_path: Path, name: str, share: float) -> None:
    path = tar(tmp_path / name, LONG_FILES)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    names, refusals = names_and_refusals(path)
    assert names == list(FILES)[: len(names)]
    assert len(names) > 40 * share - 8
    assert (refusals[-1].name, refusals[-1].code) == (name, "damaged-archive")


def test_a_tar_cut_between_two_files_is_told(tmp_path: Path) -> None:
    path = tar(tmp_path / "data.tar", FILES)
    each = 512 + 2048
    path.write_bytes(path.read_bytes()[: 10 * each])
    names, refusals = names_and_refusals(path)
    assert len(names) == 10
    assert refusals[-1].code == "damaged-archive"


def test_a_broken_header_ends_the_tar_with_a_word(tmp_path: Path) -> None:
    path = tar(tmp_path / "data.tar", FILES)
    content = bytearray(path.read_bytes())
    content[20 * 2560 : 20 * 2560 + 200] = b"\xff" * 200
    path.write_bytes(content)
    names, refusals = names_and_refusals(path)
    assert len(names) == 20
    assert refusals[-1].code == "damaged-archive"


def test_a_damaged_stream_is_told(tmp_path: Path) -> None:
    path = tar(tmp_path / "data.tar.gz", LONG_FILES)
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 50] = bytes(50)
    path.write_bytes(content)
    assert names_and_refusals(path)[1]


def test_gzip_that_ends_at_once_is_damaged(tmp_path: Path) -> None:
    path = tar(tmp_path / "data.tar.gz", FILES)
    path.write_bytes(path.read_bytes()[:40])
    assert refused(path).code == "damaged-archive"


def test_one_damaged_file_of_a_zip_is_left_out(tmp_path: Path) -> None:
    path = zipped(tmp_path / "data.zip", FILES)
    content = bytearray(path.read_bytes())
    start = content.index(b"up/7.wav") + 300
    content[start : start + 20] = bytes(20)
    path.write_bytes(content)
    names, refusals = names_and_refusals(path)
    assert names == [name for name in FILES if name != "up/7.wav"]
    assert [problem.name for problem in refusals] == ["up/7.wav"]


def test_a_cut_zip_says_so(tmp_path: Path) -> None:
    path = zipped(tmp_path / "data.zip", FILES)
    path.write_bytes(path.read_bytes()[:-100])
    assert refused(path).code == "damaged-archive"


def test_an_encrypted_zip_says_so(tmp_path: Path) -> None:
    path = zipped(tmp_path / "data.zip", {"up/a.wav": wav()})
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    assert refused(path).code == "encrypted"


@pytest.mark.parametrize("pack", [tar, zipped])
@pytest.mark.parametrize(
    "name", ["../out.wav", "/etc/out.wav", "up/../../out.wav", "up\\..\\..\\out.wav", "C:\\out.wav"]
)
def test_names_that_lead_out_are_refused(tmp_path: Path, pack: Any, name: str) -> None:
    names, refusals = names_and_refusals(pack(tmp_path / "data.tar", {name: wav(), "up/a.wav": wav()}))
    assert names == ["up/a.wav"]
    assert [problem.code for problem in refusals] == ["unsafe-name"]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_refused(tmp_path: Path, kind: bytes) -> None:
    path = tmp_path / "data.tar"
    with tarfile.open(path, "w") as archive:
        info = tarfile.TarInfo("up/link.wav")
        info.type, info.linkname = kind, "/etc/passwd"
        archive.addfile(info)
    names, refusals = names_and_refusals(path)
    assert names == []
    assert refusals[0].code == "no-file"


def test_links_in_a_zip_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "data.zip"
    with zipfile.ZipFile(path, "w") as archive:
        info = zipfile.ZipInfo("up/link.wav")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    assert names_and_refusals(path)[1][0].code == "no-file"


def test_links_in_a_folder_are_refused(tmp_path: Path) -> None:
    source = folder(tmp_path / "data", {"up/a.wav": wav()})
    (tmp_path / "secret.wav").write_bytes(wav(1))
    os.symlink(tmp_path / "secret.wav", source / "up" / "b.wav")
    names, refusals = names_and_refusals(source)
    assert names == ["up/a.wav"]
    assert refusals[0].code == "no-file"


@pytest.mark.parametrize("pack", [tar, zipped])
def test_a_bomb_is_refused(tmp_path: Path, pack: Any) -> None:
    error = refused(pack(tmp_path / "data.tar.gz", {f"up/{number}.wav": bytes(30 * 2**20) for number in range(4)}))
    assert error.code == "bomb"
    assert "far more than it holds" in error.reason


def test_the_whole_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "LARGEST_TOTAL", 10_000)
    assert refused(tar(tmp_path / "data.tar", FILES)).code == "bomb"


def test_the_number_of_files_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MOST_FILES", 20)
    assert refused(tar(tmp_path / "data.tar", FILES)).code == "too-many-files"
    with tarfile.open(tmp_path / "folders.tar", "w") as archive:
        for number in range(21):
            folder = tarfile.TarInfo(f"{number}")
            folder.type = tarfile.DIRTYPE
            archive.addfile(folder)
    assert refused(tmp_path / "folders.tar").code == "too-many-files"


def test_a_single_large_file_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "LARGEST_FILE", 5000)
    names, refusals = names_and_refusals(tar(tmp_path / "data.tar", {"up/a.wav": wav(), "up/b.wav": bytes(6000)}))
    assert names == ["up/a.wav"]
    assert refusals[0].code == "too-large"


def test_a_header_that_wants_all_memory_is_refused(tmp_path: Path) -> None:
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 8 * 2**30
    path = tmp_path / "data.tar"
    path.write_bytes(tar(tmp_path / "one.tar", {"up/a.wav": wav()}).read_bytes()[:2560] + info.tobuf() + bytes(1024))
    names, refusals = names_and_refusals(path)
    assert names == ["up/a.wav"]
    assert refusals[-1].code == "damaged-archive"


def test_names_in_old_encodings_become_readable(tmp_path: Path) -> None:
    path = tmp_path / "data.tar"
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT, encoding="latin-1") as archive:
        info = tarfile.TarInfo("grün/a.wav")
        info.size = 3
        archive.addfile(info, io.BytesIO(b"abc"))
    assert contents(path) == {"grün/a.wav": b"abc"}
