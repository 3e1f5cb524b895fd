"""WAV files of mono 16-bit PCM, so that the web can play and take recordings without an audio library."""

from __future__ import annotations

import struct
import wave
from typing import IO

HEADER_BYTES = 44


class NotWav(Exception):
    """The file is not what it should be; the message says why."""


def read_wav(file: IO[bytes]) -> tuple[bytes, int]:
    """Return the samples of mono 16-bit PCM, little-endian, and their rate in Hz.

    Raises:
        NotWav: the file is damaged, or something else.
    """
    try:
        with wave.open(file, "rb") as reader:
            channels, bits = reader.getnchannels(), 8 * reader.getsampwidth()
            if (channels, bits) != (1, 16):
                raise NotWav(f"It has {channels} channels of {bits} bits; mono with 16 bits is needed.")
            samples = reader.readframes(reader.getnframes())
            if len(samples) < 2 * reader.getnframes():
                raise NotWav(f"It ends early: {len(samples) // 2:,} of {reader.getnframes():,} samples are there.")
            return samples, reader.getframerate()
    except (wave.Error, EOFError) as error:
        raise NotWav("It is no wav file of plain PCM, or its beginning is damaged.") from error


def wav_header(samples: int, sample_rate: int) -> bytes:
    """Return the RIFF header of mono 16-bit PCM with `samples` samples."""
    size = 2 * samples
    riff = struct.pack("<4sI4s", b"RIFF", 36 + size, b"WAVE")
    pcm, channels, bytes_per_sample = 1, 1, 2
    format_chunk = struct.pack(
        "<4sIHHIIHH", b"fmt ", 16, pcm, channels, sample_rate, bytes_per_sample * sample_rate, bytes_per_sample, 16
    )
    return riff + format_chunk + struct.pack("<4sI", b"data", size)
