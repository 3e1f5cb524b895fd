"""Audio: decoding, levels, resampling, and packs of samples."""

from __future__ import annotations

import hashlib
import io
import os
import struct
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from workers.engine.errors import UnusableFile

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer
    from av import AudioResampler
    from av.container import InputContainer

Int16Array = npt.NDArray[np.int16]

SUFFIXES = (
    ".wav", ".flac", ".mp3", ".ogg", ".opus", ".oga", ".aif", ".aiff", ".m4a", ".mp4", ".3gp", ".aac", ".amr", ".webm",
)  # fmt: skip
CODECS = ("aac", "alac", "amr_nb", "amr_wb", "mp3", "opus", "vorbis")
"""What is decoded by FFmpeg: the fewer of its decoders can be reached, the better."""
LOWEST_RATE, HIGHEST_RATE = 4000, 192_000
LONGEST_SECONDS = 3600
MOST_SAMPLES = 2**25
"""Of one recording: 35 minutes at 16 kHz, 12 at 48 kHz."""
TOLERATED_SECONDS = 0.1
"""Coders add a little silence at the ends, which declared durations may or may not count."""
SILENCE_DBFS = -120.0
QUIETEST_RMS = 1e-4
"""What is quieter is not made louder."""
PCM = 1
"""Coding of integer samples in the format chunk of a wav file."""
UNKNOWN_SIZE = 2**31 - 2**16
"""From this size on a wav file was written to a pipe, by a program that could not know the end."""
BLOCK = 2**16
PACK_BLOCK = 2**20
"""Bytes that are hashed and written at once."""


class UnusableAudio(UnusableFile):
    """A file that cannot be used, with the reason and what to do."""


@dataclass(frozen=True)
class Recording:
    """Decoded audio: mono samples at their original rate."""

    samples: Int16Array
    sample_rate: int

    @property
    def peak_dbfs(self) -> float:
        """Largest sample relative to full scale."""
        return _decibel(max(int(self.samples.max()), -int(self.samples.min())) / 32768)

    @property
    def rms_dbfs(self) -> float:
        """Root of the mean square relative to full scale."""
        starts = range(0, len(self.samples), BLOCK)
        blocks = (self.samples[start : start + BLOCK].astype(np.float32) for start in starts)
        energy = sum(float(np.dot(block, block)) for block in blocks)
        return _decibel((energy / len(self.samples)) ** 0.5 / 32768)


def decode(content: bytes) -> Recording:
    """Decode a recording; several channels are mixed to one, each with the same weight.

    Read are wav (integers of 8 to 32 bits, floating point), flac, mp3, ogg (Vorbis, Opus), aiff, and AAC, AMR,
    ALAC and Opus as telephones and browsers record them.

    Raises:
        UnusableAudio: the file is empty, damaged, of an unknown kind, or holds no usable sound.
    """
    if not content:
        raise UnusableAudio("empty-file", "The file is empty.", "Record or export it again.")
    header = _wav_header(content)
    if header is not None and header.is_plain:
        return Recording(np.frombuffer(content, "<i2", header.frames, header.place), header.rate)
    container = _container(content)
    return _by_ffmpeg(content, container) if container else _by_soundfile(content)


@dataclass(frozen=True)
class _WavHeader:
    """What the head of a wav file says."""

    coding: int
    channels: int
    rate: int
    width: int
    """Bytes of one sample of all channels."""
    bits: int
    frames: int
    place: int
    """First byte of the samples."""

    @property
    def is_plain(self) -> bool:
        """Mono 16-bit PCM: read without the library, in a tenth of its time."""
        return (self.coding, self.channels, self.width, self.bits) == (PCM, 1, 2, 16)


def _wav_header(content: bytes) -> _WavHeader | None:
    """Read the head of a wav file, and refuse one that claims more than there is: the library would not tell."""
    if content[:4] != b"RIFF" or content[8:12] != b"WAVE":
        return None
    form, place = None, 12
    while place + 8 <= len(content):
        kind, size = struct.unpack_from("<4sI", content, place)
        place += 8
        if kind == b"fmt " and place + 16 <= len(content):
            form = struct.unpack_from("<HHIIHH", content, place)
        elif kind == b"data":
            return _wav_samples(form, place, size, len(content) - place) if form else None
        place += size + size % 2
    return None


def _wav_samples(form: tuple[int, ...], place: int, size: int, there: int) -> _WavHeader:
    coding, channels, rate, _, width, bits = form
    width = max(1, width)
    claimed = there if size >= UNKNOWN_SIZE else size
    _check(rate, claimed // width)
    if claimed > there:
        raise _ends_early(there // width, claimed // width)
    return _WavHeader(coding, channels, rate, width, bits, claimed // width, place)


def _by_soundfile(content: bytes) -> Recording:
    try:
        with soundfile.SoundFile(io.BytesIO(content)) as file:
            rate, declared = int(file.samplerate), int(file.frames)
            _check(rate, declared)
            samples, count = np.empty(declared, "<i2"), 0
            kind, at_once = "int16" if _is_integer(file) else "float32", BLOCK // file.channels + 1
            while len(block := file.read(at_once, dtype=kind, always_2d=True)):
                samples[count : count + len(block)] = _mono(block)
                count += len(block)
    except soundfile.LibsndfileError as error:
        raise _damaged(error.error_string.removeprefix("Error : ")) from error
    if count < declared:
        raise _ends_early(count, declared)
    return Recording(samples, rate)


def _container(content: bytes) -> str:
    """Name the container, if it is one that soundfile does not read."""
    if content[4:8] == b"ftyp":
        return "mp4"
    if content[:4] == b"\x1a\x45\xdf\xa3":
        return "webm"
    if content.startswith(b"#!AMR"):
        return "amr"
    return "aac" if content[0] == 0xFF and content[1:2] and content[1] & 0xF6 == 0xF0 else ""


def _by_ffmpeg(content: bytes, container: str) -> Recording:
    # Its libraries are large, and few need them.
    import av

    try:
        with av.open(io.BytesIO(content), "r", format=container) as file:
            return _decoded(file, av.AudioResampler(format="fltp"))
    except av.FFmpegError as error:
        raise _damaged(error.strerror or str(error)) from error


def _decoded(file: InputContainer, resampler: AudioResampler) -> Recording:
    if not file.streams.audio:
        raise UnusableAudio("no-samples", "The file holds no sound.", "Record it again.")
    stream = file.streams.audio[0]
    if stream.codec_context is None:
        raise _damaged("its coding is unknown")
    if stream.codec_context.codec.canonical_name not in CODECS:
        raise _damaged(f"it is coded as {stream.codec_context.codec.canonical_name}")
    rate = int(stream.rate or 0)
    declared = int(stream.duration * stream.time_base * rate) if stream.duration and stream.time_base else 1
    _check(rate, declared)
    parts, count = [], 0
    for frame in chain.from_iterable(map(resampler.resample, file.decode(stream))):
        parts.append(_mono(frame.to_ndarray().T))
        count += len(parts[-1])
        _check(rate, count)
    _check(rate, count)
    if declared - count > rate * TOLERATED_SECONDS:
        raise _ends_early(count, declared)
    return Recording(np.concatenate(parts), rate)


def _check(rate: int, frames: int) -> None:
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise UnusableAudio(
            "sample-rate",
            f"A sample rate of {rate:,} Hz is outside {LOWEST_RATE:,} to {HIGHEST_RATE:,} Hz.",
            "Export it at 16,000 Hz.",
        )
    if frames <= 0:
        raise UnusableAudio("no-samples", "The file holds no samples.", "Record it again.")
    longest = min(LONGEST_SECONDS, MOST_SAMPLES // rate)
    if frames > longest * rate:
        raise UnusableAudio(
            "too-long",
            f"The recording lasts {frames // rate // 60:,} minutes; at {rate:,} Hz {longest // 60} are the most.",
            "Cut it into clips of single words.",
        )


def _damaged(why: str) -> UnusableAudio:
    return UnusableAudio(
        "damaged", f"The audio cannot be decoded: {why.rstrip('.')}.",
        "Export it again from its source as 16-bit wav; a copy of this file will fail as well.",
    )  # fmt: skip


def _ends_early(there: int, declared: int) -> UnusableAudio:
    return UnusableAudio(
        "truncated", f"The file ends early: {there:,} of {declared:,} samples are there.", "Copy or export it again."
    )


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


def rms(samples: npt.NDArray[np.floating]) -> float:
    """Return the root of the mean square; 0 where there are no samples."""
    # Not by BLAS, whose sum depends on its number of threads.
    return float(np.sqrt(np.einsum("i,i", samples, samples) / len(samples))) if len(samples) else 0.0


def resample(samples: Int16Array, rate: int, target: int) -> Int16Array:
    """Convert samples from one rate to another."""
    if rate == target:
        return samples
    return np.asarray(soxr.resample(samples, rate, target), dtype="<i2")


class _HashedFile(io.FileIO):
    """A file that knows the SHA-256 of what was written."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.sha256 = hashlib.sha256()

    def write(self, content: ReadableBuffer, /) -> int:
        written = super().write(content)
        self.sha256.update(memoryview(content)[:written])
        return written


class PackWriter:
    """Write a pack: samples one after the other, named by their SHA-256 when complete.

    with PackWriter(folder) as pack:
        offset = pack.append(samples)
    pack.path, pack.sha256
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._count = 0
        self.path = folder
        self.sha256 = ""

    def __enter__(self) -> Self:
        handle, self._temporary = tempfile.mkstemp(dir=self._folder, prefix=".part-")
        self._raw = _HashedFile(handle, "wb")
        self._file = io.BufferedWriter(self._raw, PACK_BLOCK)
        return self

    def append(self, samples: Int16Array) -> int:
        """Add samples and return the offset of the first."""
        self._file.write(np.ascontiguousarray(samples, dtype="<i2").data)
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
        self.sha256 = self._raw.sha256.hexdigest()
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
