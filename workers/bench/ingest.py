"""Reading an archive of recordings, beside extracting it and loading each file with librosa."""

from __future__ import annotations

import io
import shutil
import tarfile
import tempfile
from pathlib import Path

import numpy as np
import soundfile

from workers.bench.features import speech_like
from workers.bench.figures import Figure
from workers.bench.measure import Timing, alternate, times_as_fast
from workers.engine.ingest import ingest

WORDS = 20
RATE = 16000
AT_ONCE = 1000
ROUNDS = 7


def measure(clips: int) -> list[Figure]:
    """Time the way from a `.tar.gz` of one-second wav files to samples: ours ends in a pack and levels on disk."""
    with tempfile.TemporaryDirectory(prefix="edgewise-bench-") as name:
        folder = Path(name)
        archive = write_archive(folder / "clips.tar.gz", clips)
        timings = alternate(
            {
                "edgewise": lambda: ingest(archive, folder / "packs", lambda files, share: None, lambda: None),
                "librosa": lambda: extract_and_load(archive, folder / "files"),
            },
            ROUNDS,
        )
    return [
        Figure("vs_librosa", times_as_fast(timings["edgewise"], timings["librosa"]), "times", at_least=4),
        *(_per_second(name, clips, timing) for name, timing in timings.items()),
    ]


def write_archive(path: Path, clips: int) -> Path:
    """Write an archive in the Speech Commands layout, 16 kHz and 16 bit."""
    audio = np.round(32767 * speech_like(min(clips, AT_ONCE), RATE)).astype("<i2")
    with tarfile.open(path, "w:gz") as archive:
        for index in range(clips):
            content = io.BytesIO()
            soundfile.write(content, audio[index % AT_ONCE], RATE, format="WAV", subtype="PCM_16")
            info = tarfile.TarInfo(f"word{index % WORDS}/{index:08x}_nohash_0.wav")
            info.size = content.tell()
            content.seek(0)
            archive.addfile(info, content)
    return path


def extract_and_load(archive: Path, folder: Path) -> int:
    """Extract all files, load each at its own rate, and return how many there were."""
    import librosa

    shutil.unpack_archive(archive, folder)
    count = sum(len(librosa.load(file, sr=None)[0]) > 0 for file in folder.rglob("*.wav"))
    shutil.rmtree(folder)
    return count


def _per_second(name: str, clips: int, timing: Timing) -> Figure:
    return Figure(f"{name}_clips_per_second", clips / timing.median, "clips/s", timing.spread)
