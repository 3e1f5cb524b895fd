"""Recordings, archives and damage for the tests of this folder."""

from __future__ import annotations

import io
import struct
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import soundfile

from workers.engine.ingest import Ingested, ingest


def noise(samples: int = 8000, seed: int = 0, channels: int = 1) -> npt.NDArray[np.int16]:
    """Give something that sounds, the same for the same seed."""
    shape = (samples, channels) if channels > 1 else (samples,)
    return np.random.default_rng(seed).integers(-8000, 8000, shape, dtype=np.int16)


def encoded(samples: npt.NDArray[Any], rate: int = 16000, form: str = "WAV", subtype: str | None = None) -> bytes:
    """Encode samples as a file."""
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=form, subtype=subtype)
    return file.getvalue()


def by_ffmpeg(samples: npt.NDArray[np.int16], rate: int = 16000, form: str = "mp4", codec: str = "aac") -> bytes:
    """Encode samples (one channel, or samples by channels) as a file that soundfile does not write."""
    file = io.BytesIO()
    planes = np.ascontiguousarray(np.atleast_2d(samples.T).astype(np.float32) / 32768)
    with av.open(file, "w", format=form) as container:
        stream = container.add_stream(codec, rate=rate, layout="stereo" if len(planes) == 2 else "mono")
        frame = av.AudioFrame.from_ndarray(planes, format="fltp", layout=stream.layout)
        frame.sample_rate = rate
        resampler = av.AudioResampler(stream.format, stream.layout, rate, stream.codec_context.frame_size or 1024)
        for part in [*resampler.resample(frame), *resampler.resample(None), None]:
            container.mux(stream.encode(part))
    return file.getvalue()


def plain_wav(samples: npt.NDArray[np.int16], rate: int = 16000, claimed: int | None = None, width: int = 2) -> bytes:
    """Write a wav by hand; its header may claim other numbers of bytes, in all and of a sample, than there are."""
    data = samples.astype("<i2").tobytes()
    size = len(data) if claimed is None else claimed
    head = struct.pack("<4sI4s4sIHHIIHH", b"RIFF", 36, b"WAVE", b"fmt ", 16, 1, 1, rate, 2 * rate, width, 16)
    return head + struct.pack("<4sI", b"data", size) + data


def wav(seed: int = 0, samples: int = 800) -> bytes:
    """Give a short recording."""
    return plain_wav(noise(samples, seed))


def tar(path: Path, files: Mapping[str, bytes]) -> Path:
    """Pack files; packed by gzip where the name says so."""
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def zipped(path: Path, files: Mapping[str, bytes]) -> Path:
    """Pack files as zip."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def folder(path: Path, files: Mapping[str, bytes]) -> Path:
    """Write files into a folder."""
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return path


def ingested(source: Path, packs: Path) -> Ingested:
    """Read a source without anyone who watches or stops."""
    return ingest(source, packs, lambda files, share: None, lambda: None)
