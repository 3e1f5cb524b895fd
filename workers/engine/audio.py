"""Audio: decoding, levels, resampling, and packs of samples."""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from workers.engine.errors import EngineError

Int16Array = npt.NDArray[np.int16]

SUFFIXES = (".wav", ".flac", ".mp3", ".ogg")
LOWEST_RATE, HIGHEST_RATE = 4000, 192_000
LONGEST_SECONDS = 3600
SILENCE_DBFS = -120.0


class UnusableAudio(EngineError):
    """A file that cannot be used, with the reason and what to do."""


@dataclass(frozen=True)
class Recording:
    """Decoded audio: mono samples at their original rate."""

    samples: Int16Array
    sample_rate: int

    @property
    def peak_dbfs(self) -> float:
        """Largest sample relative to full scale."""
        return _decibel(float(np.max(np.abs(self.samples.astype(np.int32)))) / 32768)

    @property
    def rms_dbfs(self) -> float:
        """Mean level relative to full scale."""
        return _decibel(float(np.sqrt(np.mean(np.square(self.samples, dtype=np.float64)))) / 32768)


def decode(content: bytes) -> Recording:
    """Decode a wav, flac, mp3 or ogg file; several channels are mixed to one.

    Raises:
        UnusableAudio: the file is empty, damaged, of an unknown kind, or holds no usable sound.
    """
    if not content:
        raise UnusableAudio("empty-file", "The file is empty.", "Record or export it again.")
    try:
        with soundfile.SoundFile(io.BytesIO(content)) as file:
            _check_header(file)
            samples = file.read(dtype="int16" if _is_integer(file) else "float32", always_2d=True)
            declared, rate = file.frames, int(file.samplerate)
    except soundfile.LibsndfileError as error:
        raise UnusableAudio(
            "damaged",
            f"The audio cannot be decoded: {error.error_string.rstrip('.')}.",
            "Export it again from its source as 16-bit wav; a copy of this file will fail as well.",
        ) from error
    if len(samples) < declared:
        raise UnusableAudio(
            "truncated",
            f"The file ends early: {len(samples):,} of {declared:,} samples are there.",
            "Copy or export it again.",
        )
    return Recording(_mono(samples), rate)


def _check_header(file: soundfile.SoundFile) -> None:
    if not LOWEST_RATE <= file.samplerate <= HIGHEST_RATE:
        raise UnusableAudio(
            "sample-rate",
            f"A sample rate of {file.samplerate:,} Hz is outside {LOWEST_RATE:,} to {HIGHEST_RATE:,} Hz.",
            "Export it at 16,000 Hz.",
        )
    if file.frames <= 0:
        raise UnusableAudio("no-samples", "The file holds no samples.", "Record it again.")
    if file.frames > LONGEST_SECONDS * file.samplerate:
        raise UnusableAudio("too-long", "The recording is longer than one hour.", "Cut it into clips of single words.")


def _is_integer(file: soundfile.SoundFile) -> bool:
    return file.subtype in ("PCM_16", "PCM_S8", "PCM_U8")


def _mono(samples: npt.NDArray[Any]) -> Int16Array:
    if samples.dtype == np.float32:
        if not np.isfinite(samples).all():
            raise UnusableAudio("not-finite", "The file holds samples that are no numbers.", "Export it again.")
        mixed = samples.mean(axis=1) * 32768
        return np.asarray(np.clip(np.rint(mixed), -32768, 32767), dtype="<i2")
    if samples.shape[1] == 1:
        return np.ascontiguousarray(samples[:, 0], dtype="<i2")
    return np.asarray(np.rint(samples.mean(axis=1)), dtype="<i2")


def _decibel(ratio: float) -> float:
    return max(SILENCE_DBFS, 20 * float(np.log10(ratio))) if ratio > 0 else SILENCE_DBFS


def resample(samples: Int16Array, rate: int, target: int) -> Int16Array:
    """Convert samples from one rate to another."""
    if rate == target:
        return samples
    return np.asarray(soxr.resample(samples, rate, target), dtype="<i2")


class PackWriter:
    """Write a pack: samples one after the other, named by their SHA-256 when complete.

    with PackWriter(folder) as pack:
        offset = pack.append(samples)
    pack.path, pack.sha256
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._hash = hashlib.sha256()
        self._count = 0
        self.path = folder
        self.sha256 = ""

    def __enter__(self) -> Self:
        handle, self._temporary = tempfile.mkstemp(dir=self._folder, prefix=".part-")
        self._file = os.fdopen(handle, "wb")
        return self

    def append(self, samples: Int16Array) -> int:
        """Add samples and return the offset of the first."""
        content = np.ascontiguousarray(samples, dtype="<i2").tobytes()
        self._file.write(content)
        self._hash.update(content)
        offset, self._count = self._count, self._count + len(samples)
        return offset

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._file:
            if kind is None:
                self._file.flush()
                os.fsync(self._file.fileno())
        if kind is not None:
            os.unlink(self._temporary)
            return
        self.sha256 = self._hash.hexdigest()
        self.path = self._folder / f"{self.sha256}.pcm"
        os.replace(self._temporary, self.path)


def resampled_pack(
    pack: Path, stretches: Iterable[tuple[int, int, int]], target: int, folder: Path
) -> tuple[Path, list[tuple[int, int]]]:
    """Write stretches (offset, length, rate) of a pack at another rate; return the new pack and their new places."""
    source: Int16Array = np.memmap(pack, dtype="<i2", mode="r")
    moved = []
    with PackWriter(folder) as writer:
        for offset, length, rate in stretches:
            samples = resample(source[offset : offset + length], rate, target)
            moved.append((writer.append(samples), len(samples)))
    return writer.path, moved
