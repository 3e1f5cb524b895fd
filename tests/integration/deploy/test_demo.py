"""What the demo makes of recordings, up to the run that it would train."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from datasets_app.models import Dataset, RawDataImport
from deploy_app import demo
from edgewise.jobs import services as jobs
from tests.unit.audio.recordings import wav
from workers.attempt import Attempt
from workers.jobs import import_raw_data

pytestmark = pytest.mark.django_db


def import_alone(job: Any, title: str) -> None:
    """Do an import as the worker's child does it; no worker comes for a run."""
    if not isinstance(job, RawDataImport):
        raise demo.Unfinished(title)
    claimed = jobs.claim(RawDataImport, job.pk, "worker")
    assert claimed is not None
    import_raw_data.run(Attempt(claimed, threading.Event()))
    job.refresh_from_db()


def test_all_words_of_a_folder_are_keywords(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for word in ("high", "low", "middle"):
        (tmp_path / word).mkdir()
        for number in range(30):
            (tmp_path / word / f"{number:08x}_nohash_0.wav").write_bytes(wav(number))
    monkeypatch.setattr(demo, "_finish", import_alone)
    with pytest.raises(demo.Unfinished, match="on 4 labels"):
        demo.demonstrate(demo.Wishes(tmp_path, [], "kws-small", 1))
    assert Dataset.objects.get().labels == ["<silence>", "high", "low", "middle"]
