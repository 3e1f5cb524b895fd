"""Decoding, levels, resampling and packs."""

from __future__ import annotations

import hashlib
import wave
from pathlib import Path

import numpy as np
import pytest

from edgewise.wav import wav_header
from tests.unit.audio.recordings import by_ffmpeg, encoded, noise, plain_wav
from workers.engine.audio import PackWriter, Recording, UnusableAudio, decode, resample, resampled_pack


def refused(content: bytes) -> UnusableAudio:
    with pytest.raises(UnusableAudio) as caught:
        decode(content)
    assert caught.value.reason
    assert caught.value.remedy
    return caught.value


def test_plain_wav_is_read_exactly() -> None:
    samples = noise()
    recording = decode(plain_wav(samples, 22050))
    assert recording.sample_rate == 22050
    assert np.array_equal(recording.samples, samples)


def test_the_fast_way_and_the_library_agree() -> None:
    samples = noise()
    # An extensible header: the fast way leaves it to the library.
    assert np.array_equal(decode(encoded(samples, form="WAVEX")).samples, decode(plain_wav(samples)).samples)


@pytest.mark.parametrize("width", [0, 1, 4])
def test_a_wav_that_claims_a_wrong_width_of_its_samples_is_read_to_its_end(width: int) -> None:
    assert np.array_equal(decode(plain_wav(noise(100), width=width)).samples, noise(100))


def test_chunks_before_the_samples_are_passed_over() -> None:
    plain = plain_wav(noise())
    with_list = plain[:36] + b"LIST" + (5).to_bytes(4, "little") + b"INFOx\0" + plain[36:]
    assert np.array_equal(decode(with_list).samples, noise())


def test_a_wav_written_to_a_pipe_reaches_to_its_end() -> None:
    assert np.array_equal(decode(plain_wav(noise(), claimed=2**32 - 1)).samples, noise())


@pytest.mark.parametrize("form", ["FLAC", "WAV"])
def test_lossless_files_are_read_exactly(form: str) -> None:
    assert np.array_equal(decode(encoded(noise(), form=form)).samples, noise())


@pytest.mark.parametrize(("form", "subtype"), [("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", None)])
def test_lossy_files_keep_their_length(form: str, subtype: str | None) -> None:
    recording = decode(encoded(noise(16000), form=form, subtype=subtype))
    assert recording.sample_rate == 16000
    assert len(recording.samples) == pytest.approx(16000, abs=1200)


FORMS = [
    ("mp4", "aac", 16000),
    ("adts", "aac", 44100),
    ("mp4", "alac", 16000),
    ("webm", "libopus", 48000),
    ("amr", "libopencore_amrnb", 8000),
]


@pytest.mark.parametrize(("form", "codec", "rate"), FORMS)
def test_recordings_of_telephones_and_browsers(form: str, codec: str, rate: int) -> None:
    tone = (8000 * np.sin(2 * np.pi * 440 * np.arange(rate) / rate)).astype(np.int16)
    recording = decode(by_ffmpeg(tone, rate, form, codec))
    assert recording.sample_rate == rate
    assert len(recording.samples) == pytest.approx(rate, abs=0.2 * rate)
    assert np.argmax(np.abs(np.fft.rfft(recording.samples, rate))) == pytest.approx(440, abs=2)
    assert recording.rms_dbfs == pytest.approx(Recording(tone, rate).rms_dbfs, abs=3)


def test_a_cut_telephone_recording_is_refused() -> None:
    assert refused(by_ffmpeg(noise(64000))[:-9000]).code == "damaged"


def test_a_cut_recording_of_a_browser_is_refused() -> None:
    assert refused(by_ffmpeg(noise(16000), 16000, "webm", "libopus")[:300]).code in ("damaged", "no-samples")


@pytest.mark.parametrize("subtype", ["PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_finer_samples_are_rounded(subtype: str) -> None:
    assert np.abs(decode(encoded(noise() / 32768, subtype=subtype)).samples.astype(int) - noise()).max() <= 1


def test_samples_beyond_full_scale_are_clipped() -> None:
    loud = encoded(np.array([2.0, -2.0] * 100), subtype="FLOAT")
    assert set(decode(loud).samples) == {32767, -32768}


def test_channels_are_mixed() -> None:
    samples = noise(channels=2)
    mixed = decode(encoded(samples)).samples
    assert np.abs(mixed - samples.mean(axis=1)).max() <= 0.5


def test_an_empty_file_says_so() -> None:
    assert refused(b"").code == "empty-file"


def test_what_is_no_audio_says_so() -> None:
    assert refused(b"This is a letter, not a recording. " * 10).code == "damaged"


@pytest.mark.parametrize("content", [plain_wav(noise(0)), encoded(noise(0), form="WAVEX")])
def test_a_file_without_samples_says_so(content: bytes) -> None:
    assert refused(content).code == "no-samples"


def test_a_cut_wav_tells_what_is_missing() -> None:
    error = refused(plain_wav(noise())[:-2000])
    assert error.code == "truncated"
    assert "7,000 of 8,000 samples" in error.reason


def test_a_cut_wav_of_the_finer_kind_tells_it_too() -> None:
    error = refused(encoded(noise(8000, channels=2), subtype="PCM_24")[:-6000])
    assert error.code == "truncated"
    assert "7,000 of 8,000 samples" in error.reason


def test_a_header_alone_is_no_recording() -> None:
    assert refused(plain_wav(noise())[:20]).code == "damaged"


def test_a_cut_flac_is_refused() -> None:
    assert refused(encoded(noise(16000), form="FLAC")[:9000]).code in ("damaged", "truncated")


def test_a_flac_with_a_damaged_middle_is_refused() -> None:
    content = bytearray(encoded(noise(64000), form="FLAC"))
    content[len(content) // 2 : len(content) // 2 + 400] = bytes(400)
    assert refused(bytes(content)).code in ("damaged", "truncated")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_samples_that_are_no_numbers_are_refused(value: float) -> None:
    assert refused(encoded(np.array([0.1, value, 0.2] * 100), subtype="FLOAT")).code == "not-finite"


def test_rates_of_no_microphone_are_refused() -> None:
    assert refused(plain_wav(noise(), rate=100)).code == "sample-rate"


def test_an_hour_is_too_long() -> None:
    assert refused(plain_wav(noise(1), rate=4000, claimed=2 * 4000 * 3601)).code == "too-long"


def test_levels() -> None:
    time = np.arange(16000) / 16000
    sine = Recording((16384 * np.sin(2 * np.pi * 440 * time)).astype(np.int16), 16000)
    assert sine.peak_dbfs == pytest.approx(-6.02, abs=0.01)
    assert sine.rms_dbfs == pytest.approx(-9.03, abs=0.01)
    assert Recording(np.zeros(10, np.int16), 16000).rms_dbfs == -120
    assert Recording(np.array([-32768], np.int16), 16000).peak_dbfs == 0


def test_resampling_keeps_pitch_and_duration() -> None:
    time = np.arange(8000) / 8000
    moved = resample((10000 * np.sin(2 * np.pi * 1000 * time)).astype(np.int16), 8000, 16000)
    assert len(moved) == 16000
    assert np.argmax(np.abs(np.fft.rfft(moved))) == 1000
    assert resample(noise(), 16000, 16000) is not None


def test_a_pack_is_named_by_its_content(tmp_path: Path) -> None:
    with PackWriter(tmp_path) as pack:
        offsets = [pack.append(noise(samples, samples)) for samples in (100, 50, 7)]
    content = b"".join(noise(samples, samples).tobytes() for samples in (100, 50, 7))
    assert offsets == [0, 100, 150]
    assert pack.sha256 == hashlib.sha256(content).hexdigest()
    assert pack.path == tmp_path / f"{pack.sha256}.pcm"
    assert pack.path.read_bytes() == content


def test_a_pack_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def write_and_fail() -> None:
        with PackWriter(tmp_path) as pack:
            pack.append(noise())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_and_fail()
    assert list(tmp_path.iterdir()) == []


def test_a_pack_at_another_rate(tmp_path: Path) -> None:
    with PackWriter(tmp_path) as pack:
        pack.append(noise(8000))
        pack.append(noise(16000, 1))
    path, places = resampled_pack(pack.path, [(0, 8000, 8000), (8000, 16000, 16000)], 16000, tmp_path / "moved")
    samples = np.fromfile(path, "<i2")
    assert places == [(0, 16000), (16000, 16000)]
    assert np.array_equal(samples[16000:], noise(16000, 1))


def test_wav_headers_are_read_by_others(tmp_path: Path) -> None:
    file = tmp_path / "clip.wav"
    file.write_bytes(wav_header(800, 22050) + noise(800).tobytes())
    with wave.open(str(file)) as opened:
        assert (opened.getnframes(), opened.getframerate(), opened.getsampwidth()) == (800, 22050, 2)
        assert opened.readframes(800) == noise(800).tobytes()
