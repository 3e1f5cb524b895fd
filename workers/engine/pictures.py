"""Pictures of features: time to the right, features upwards, strong is bright."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
ByteArray = npt.NDArray[np.uint8]

SHOWN_DB = 80.0
NEPERS_PER_DB = np.log(10) / 20
OUTLIERS_PERCENT = 1.0

# Viridis (van der Walt & Smith 2015) at nine points: even steps to the eye, for colour-blind people too.
VIRIDIS = (0x440154, 0x472D7B, 0x3B528B, 0x2C728E, 0x21918C, 0x28AE80, 0x5EC962, 0xADDC30, 0xFDE725)


def feature_pictures(features: FloatArray, *, cepstral: bool) -> list[bytes]:
    """Draw features (clips, frames, features) as PNG, one pixel for each value, all clips on the same scale.

    Args:
        features: of the clips.
        cepstral: whether they are DCT features. Their ranges differ so much that each has a scale of its own; mel
            bands share one, which reaches from the loudest value 80 dB down.
    """
    if cepstral:
        low, high = np.percentile(features, (OUTLIERS_PERCENT, 100 - OUTLIERS_PERCENT), axis=(0, 1))
    else:
        high = features.max()
        low = high - np.float32(SHOWN_DB * NEPERS_PER_DB)
    scaled = np.clip((features - low) / np.maximum(high - low, 1e-6), 0, 1)
    return [_png(np.rint(255 * clip.T[::-1]).astype(np.uint8)) for clip in scaled]


def _png(pixels: ByteArray) -> bytes:
    """Encode indices (height, width) into the palette as PNG (ISO/IEC 15948)."""
    height, width = pixels.shape
    bits, indexed = 8, 3
    header = struct.pack(">IIBBBBB", width, height, bits, indexed, 0, 0, 0)
    lines = np.pad(pixels, ((0, 0), (1, 0)))  # each line begins with its filter: none
    chunks = (b"IHDR", header), (b"PLTE", _palette()), (b"IDAT", zlib.compress(lines.tobytes(), 9)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, content) for kind, content in chunks)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _palette() -> bytes:
    """256 colours between the points."""
    points = np.array([[colour >> 16, colour >> 8 & 255, colour & 255] for colour in VIRIDIS])
    places = np.linspace(0, len(points) - 1, 256)
    channels = [np.interp(places, np.arange(len(points)), channel) for channel in points.T]
    return bytes(np.rint(np.stack(channels, axis=1)).astype(np.uint8))
