"""Pictures of features: one pixel for each value, comparable between clips."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import numpy.typing as npt
import pytest

from workers.engine.pictures import feature_pictures

FRAMES, FEATURES = 7, 3


def pixels(picture: bytes) -> npt.NDArray[np.uint8]:
    """Decode the indices of an indexed PNG, after checking every chunk."""
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    chunks, place = {}, 8
    while place < len(picture):
        (length,) = struct.unpack_from(">I", picture, place)
        kind, content = picture[place + 4 : place + 8], picture[place + 8 : place + 8 + length]
        (checksum,) = struct.unpack_from(">I", picture, place + 8 + length)
        assert checksum == zlib.crc32(kind + content)
        chunks[kind], place = content, place + 12 + length
    assert list(chunks) == [b"IHDR", b"PLTE", b"IDAT", b"IEND"]
    assert len(set(zip(*[iter(chunks[b"PLTE"])] * 3, strict=True))) > 200
    width, height = struct.unpack_from(">II", chunks[b"IHDR"])
    lines = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, width + 1)
    assert not lines[:, 0].any()
    return lines[:, 1:]


def test_time_runs_to_the_right_and_features_upwards() -> None:
    features = np.full((1, FRAMES, FEATURES), -20, np.float32)
    features[0, 2, 0] = 0
    drawn = pixels(feature_pictures(features, cepstral=False)[0])
    assert drawn.shape == (FEATURES, FRAMES)
    assert np.argwhere(drawn).tolist() == [[FEATURES - 1, 2]]
    assert drawn.max() == 255


def test_mel_bands_share_one_scale_of_80_decibels() -> None:
    decibels = np.zeros((2, FRAMES, FEATURES), np.float32)
    decibels[1] = -40
    decibels[1, 0, 0] = -100
    loud, soft = (pixels(one) for one in feature_pictures(decibels * np.float32(np.log(10) / 20), cepstral=False))
    assert set(loud.flat) == {255}
    assert soft[-1, 0] == 0
    assert soft[0, 0] == pytest.approx(128, abs=1)


def test_each_cepstral_feature_has_a_scale_of_its_own() -> None:
    ramp = np.linspace(0, 1, FRAMES, dtype=np.float32)
    features = np.stack([ramp, 1000 * ramp, np.full(FRAMES, 5)], axis=1, dtype=np.float32)[None]
    low, high, constant = pixels(feature_pictures(features, cepstral=True)[0])[::-1]
    assert np.array_equal(low, high)
    assert (low[0], low[-1]) == (0, 255)
    assert len(set(constant)) == 1
