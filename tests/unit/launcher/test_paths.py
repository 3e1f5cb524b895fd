"""Files appear whole; sockets get a path that is short enough to bind."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from pathlib import Path

import pytest

from edgewise.launcher.paths import Home, socket_folder, write_whole


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "note"
    write_whole(target, "first")
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    with pytest.raises(UnicodeEncodeError):
        write_whole(target, "\ud800")
    assert target.read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["note"]


def test_a_new_home_is_private(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.create()
    assert {stat.S_IMODE(path.stat().st_mode) for path in (home.path, home.secrets, home.run)} == {0o700}


def test_a_short_path_holds_the_socket_itself() -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as short:
        wanted = Path(short, "socket")
        assert socket_folder(wanted, (os.getuid(), os.getgid())) == wanted
        assert stat.S_IMODE(wanted.stat().st_mode) == 0o700


def test_a_long_path_links_to_a_short_private_folder_and_keeps_it(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    owner = (os.getuid(), os.getgid())
    short = socket_folder(deep / "socket", owner)
    try:
        assert len(str(short)) < 40
        assert stat.S_IMODE(short.stat().st_mode) == 0o700
        assert (deep / "socket").readlink() == short
        assert socket_folder(deep / "socket", owner) == short
        short.chmod(0o755)  # others could have put a socket of theirs there
        another = socket_folder(deep / "socket", owner)
        assert another != short
        another.rmdir()
    finally:
        shutil.rmtree(short)
