"""WAV headers, so that the web can play a stretch of a pack without an audio library."""

from __future__ import annotations

import struct

HEADER_BYTES = 44


def wav_header(samples: int, sample_rate: int) -> bytes:
    """Return the RIFF header of mono 16-bit PCM with `samples` samples."""
    size = 2 * samples
    riff = struct.pack("<4sI4s", b"RIFF", 36 + size, b"WAVE")
    pcm, channels, bytes_per_sample = 1, 1, 2
    format_chunk = struct.pack(
        "<4sIHHIIHH", b"fmt ", 16, pcm, channels, sample_rate, bytes_per_sample * sample_rate, bytes_per_sample, 16
    )
    return riff + format_chunk + struct.pack("<4sI", b"data", size)
