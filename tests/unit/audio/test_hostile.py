"""Hostile archives: each is refused, or its files are skipped, with its own reason; nothing leaves the folder."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.audio.hostile import BOMBS, GOOD, KINDS
from tests.unit.audio.recordings import ingested
from workers.engine.errors import EngineError

MEMORY = 300 * 2**20
CHECKOUT = Path(__file__).resolve().parents[3]


def test_the_corpus_is_large() -> None:
    assert len([kind for kind in KINDS.values() if kind.code]) >= 40


@pytest.mark.parametrize("name", KINDS)
def test_a_hostile_archive_does_no_harm(tmp_path: Path, name: str) -> None:
    kind, archive = KINDS[name], tmp_path / "there" / "data.tar.gz"
    archive.parent.mkdir()
    kind.write(archive)
    before = archive.read_bytes()
    if kind.whole:
        with pytest.raises(EngineError) as caught:
            ingested(archive, archive.parent / "packs")
        problems = [(caught.value.code, caught.value.remedy)]
    else:
        found = ingested(archive, archive.parent / "packs")
        assert GOOD in [clip.name for clip in found.clips]
        problems = [(problem.code, problem.remedy) for problem in found.problems]
    codes = [code for code, _ in problems]
    assert codes[:1] == ([kind.code] if kind.code else [])
    assert set(codes) <= {kind.code, "damaged-archive"}
    assert all(remedy for _, remedy in problems)
    assert archive.read_bytes() == before
    packs = {path.suffix for path in (archive.parent / "packs").glob("*")}
    assert packs == (set() if kind.whole else {".pcm"})
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


@pytest.mark.parametrize("name", BOMBS)
def test_memory_stays_bounded(tmp_path: Path, name: str) -> None:
    kind, archive = BOMBS[name], tmp_path / "data.tar.gz"
    kind.write(archive)
    code, memory = imported_alone(archive, tmp_path / "packs")
    assert code == kind.code
    assert memory < MEMORY, f"{memory / 2**20:.0f} MiB"


def imported_alone(archive: Path, packs: Path) -> tuple[str, int]:
    """Import in a process that does nothing else; return the first problem's code and the largest memory in bytes."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.unit.audio.import_alone", str(archive), str(packs)],
        cwd=CHECKOUT, env={"PYTHONPATH": f"{CHECKOUT}:{CHECKOUT / 'platform'}", "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    code, memory = json.loads(done.stdout)
    return code, memory
