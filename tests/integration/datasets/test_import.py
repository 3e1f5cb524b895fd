"""Imports as jobs: archives, folders, addresses and speech become rows and a pack, or a reason."""

from __future__ import annotations

import http.server
import io
import threading
import wave
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datasets_app import services
from datasets_app.models import Clip, ClipKind, RawData, RawDataImport, SpeechPreview
from edgewise import storage
from edgewise.accounts.models import User, Workspace
from edgewise.accounts.services import give_personal_workspace
from edgewise.errors import Conflict, Forbidden, Invalid, TooLarge
from edgewise.jobs import services as jobs
from edgewise.jobs.models import LogLine, State
from tests.integration.datasets.conftest import WORDS, Work, speech_commands
from tests.unit.audio.recordings import encoded, folder, noise, plain_wav, tar, wav
from workers.attempt import Attempt, Stopped
from workers.jobs import import_raw_data
from workers.jobs import preview_speech as speak_preview

pytestmark = pytest.mark.django_db
Upload = Callable[..., RawData]


def failure(raw_data: RawData) -> tuple[str, str]:
    job = raw_data.import_job
    assert job.state == State.FAILED
    assert job.failure_remedy
    assert not Clip.objects.filter(raw_data=raw_data).exists()
    return job.failure_code, job.failure_reason


def test_an_archive_becomes_rows_and_a_pack(words: RawData, store: Path) -> None:
    assert (words.import_job.state, words.clip_count, words.noise_count) == (State.SUCCEEDED, 90, 1)
    assert set(words.label_counts) == set(WORDS)
    assert sum(words.label_counts["up"].values()) == 30
    assert (words.sample_rate, words.median_milliseconds) == (16000, 50)
    pack = np.memmap(storage.local_path(words.pack, words.pack_sha256), "<i2", "r")
    clip = words.clips.get(name="down/00000007_nohash_0.wav")
    assert (clip.label, clip.speaker, clip.kind) == ("down", "00000007", ClipKind.WORD)
    assert np.array_equal(pack[clip.offset : clip.offset + clip.length], noise(800, 7))
    assert [path.name for path in (store / "raw").iterdir()] == [f"{words.pack_sha256}.pcm"]


def test_the_upload_is_removed_when_it_is_read(words: RawData, store: Path, home: Path) -> None:
    assert [path for path in (store / "uploads").rglob("*") if path.is_file()] == []
    assert list((home / "tmp").iterdir()) == []


def test_progress_tells_files(words: RawData) -> None:
    job = words.import_job
    assert (job.progress_done, job.progress_total, job.progress_unit) == (91, 91, "clips")


def test_bad_files_become_problems(upload: Upload, work: Work, tmp_path: Path) -> None:
    files = {**speech_commands(), "up/empty.wav": b"", "up/cut.flac": encoded(noise(16000), form="FLAC")[:9000]}
    raw_data = work(upload(tar(tmp_path / "words.tar", files)))
    assert raw_data.clip_count == 90
    assert raw_data.problem_count == 2
    assert set(raw_data.problems.values_list("name", flat=True)) == {"up/empty.wav", "up/cut.flac"}
    assert "up/empty.wav" in LogLine.objects.filter(job_id=raw_data.import_job.pk).order_by("id")[0].text


def test_hostile_names_do_no_harm(upload: Upload, work: Work, tmp_path: Path) -> None:
    names = ["../out.wav", "/etc/out.wav", "up\x07/a.wav", f"up/{'x' * 600}.wav", f"{'y' * 101}/a.wav", "grün/ä.wav"]
    raw_data = work(upload(tar(tmp_path / "words.tar", dict.fromkeys(names, wav()))))
    assert list(raw_data.clips.values_list("label", flat=True)) == ["grün"]
    assert raw_data.problem_count == 5


def test_what_is_no_archive_fails_with_a_reason(upload: Upload, work: Work, tmp_path: Path) -> None:
    path = tmp_path / "letter.tar.gz"
    path.write_bytes(b"Dear server, this is no archive." * 100)
    assert failure(work(upload(path))) == ("no-archive", "letter.tar.gz is no archive that Edgewise can read.")


def test_damaged_recordings_alone_fail_with_a_reason(
    upload: Upload, work: Work, shared_audio: Path, tmp_path: Path
) -> None:
    path = shared_audio / "broken_flac.tar.gz"
    if not path.exists():
        cut = encoded(noise(16000), form="FLAC")[:9000]
        path = tar(tmp_path / "broken.tar.gz", {f"alexa/{number}.flac": cut for number in range(14)})
    code, reason = failure(work(upload(path)))
    assert code == "no-usable-clips"
    assert "14 problems" in reason


def test_a_folder_without_words_fails_with_a_reason(operator: User, work: Work, tmp_path: Path) -> None:
    source = folder(tmp_path / "data", {"README.md": b"", "_background_noise_/tap.wav": wav()})
    raw_data = services.import_speech_commands(
        workspace=give_personal_workspace(operator), user=operator, location=str(source)
    )
    assert failure(work(raw_data))[0] == "no-words"


def test_an_import_that_is_stopped_leaves_nothing(upload: Upload, archive: Path, store: Path, home: Path) -> None:
    raw_data = upload(archive)
    claimed = jobs.claim(RawDataImport, raw_data.import_job.pk, "worker")
    assert claimed is not None
    stop = threading.Event()
    stop.set()
    with pytest.raises(Stopped):
        import_raw_data.run(Attempt(claimed, stop))
    assert not Clip.objects.exists()
    assert not (store / "raw").exists()
    assert list((home / "tmp").iterdir()) == []


def test_a_second_attempt_leaves_no_doubles(
    upload: Upload, work: Work, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw_data = upload(archive)

    class Killed(BaseException):
        pass

    def die(*args: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(import_raw_data, "_write", die)
        with pytest.raises(Killed):
            work(raw_data)
    jobs.interrupt(RawDataImport.objects.get(raw_data=raw_data), "Killed.")
    assert work(raw_data).clips.count() == 91


def test_an_attempt_that_lost_its_job_writes_nothing(upload: Upload, archive: Path) -> None:
    raw_data = upload(archive)
    late = jobs.claim(RawDataImport, raw_data.import_job.pk, "worker")
    assert late is not None
    jobs.interrupt(late, "Lost.")
    with pytest.raises(jobs.LeaseLost):
        import_raw_data.run(Attempt(late, threading.Event()))
    assert not Clip.objects.exists()


# --- uploads ----------------------------------------------------------------------------------------------------------


def test_a_name_comes_from_the_file(upload: Upload, archive: Path) -> None:
    assert upload(archive, name="").name == "words"


def test_a_taken_name_leaves_no_file(upload: Upload, archive: Path, store: Path) -> None:
    upload(archive)
    before = sorted(store.rglob("*"))
    with pytest.raises(Invalid, match="The name “Words” is taken"):
        upload(archive)
    assert sorted(store.rglob("*")) == before


def test_an_upload_that_is_too_large(upload: Upload, archive: Path, settings: Any) -> None:
    settings.MAX_UPLOAD = 1000
    with pytest.raises(TooLarge) as caught:
        upload(archive)
    assert "EDGEWISE_MAX_UPLOAD" in caught.value.remedy


def test_an_empty_upload(upload: Upload, tmp_path: Path) -> None:
    (tmp_path / "empty.zip").touch()
    with pytest.raises(Invalid, match=r"empty\.zip is empty"):
        upload(tmp_path / "empty.zip")


# --- for everyone -----------------------------------------------------------------------------------------------------


@pytest.fixture
def for_everyone(operator: User) -> Callable[[str], RawData]:
    def begin(location: str) -> RawData:
        return services.import_speech_commands(
            workspace=give_personal_workspace(operator), user=operator, location=location
        )

    return begin


def test_everyone_sees_speech_commands(for_everyone: Any, work: Work, workspace: Workspace, tmp_path: Path) -> None:
    raw_data = work(for_everyone(str(folder(tmp_path / "data", speech_commands()))))
    assert raw_data.name == "SpeechCommands v2"
    assert list(RawData.objects.visible_to(workspace).ready()) == [raw_data]


def test_only_administrators_import_for_everyone(alice: User, workspace: Workspace, archive: Path) -> None:
    with pytest.raises(Forbidden):
        services.import_speech_commands(workspace=workspace, user=alice, location=str(archive))


def test_it_is_imported_once(for_everyone: Any, work: Work, archive: Path) -> None:
    raw_data = for_everyone(str(archive))
    with pytest.raises(Conflict, match="being imported"):
        for_everyone(str(archive))
    work(raw_data)
    with pytest.raises(Conflict, match="there already"):
        for_everyone(str(archive))


def test_a_failed_import_can_be_begun_again_from_elsewhere(
    for_everyone: Any, work: Work, archive: Path, tmp_path: Path
) -> None:
    failed = work(for_everyone(str(tmp_path)))
    assert failed.import_job.state == State.FAILED
    assert for_everyone(str(archive)) == failed
    assert work(failed).clip_count == 90


@pytest.mark.parametrize("location", ["", "/nowhere/at/all"])
def test_a_place_with_nothing_is_refused_at_once(for_everyone: Any, location: str) -> None:
    with pytest.raises(Invalid) as caught:
        for_everyone(location)
    assert "location" in caught.value.fields


@pytest.fixture
def address(archive: Path) -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args: Any) -> None:
            """Say nothing."""

    handler = partial(Quiet, directory=str(archive.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/{archive.name}"
        server.shutdown()
        thread.join()


def test_an_address_is_fetched_and_not_kept(for_everyone: Any, work: Work, address: str, home: Path) -> None:
    assert work(for_everyone(address)).clip_count == 90
    assert list((home / "cache" / "downloads").iterdir()) == []


def test_an_address_with_nothing_fails_with_a_reason(for_everyone: Any, work: Work, address: str) -> None:
    code, reason = failure(work(for_everyone(address + ".gone")))
    assert code == "download"
    assert "404" in reason


# --- speech -----------------------------------------------------------------------------------------------------------


def test_speech_becomes_raw_data(alice: User, workspace: Workspace, work: Work) -> None:
    parameters = {"keywords": ["up", " Down "], "clips_per_word": 40, "near_misses": ["town", "light on"]}
    asked = services.synthesize(workspace=workspace, user=alice, name="Spoken", parameters=parameters)
    raw_data = work(asked)
    assert raw_data.synthetic
    counts = raw_data.label_counts
    assert sum(counts["up"].values()) == sum(counts["down"].values()) == 40
    assert len(counts) == 34
    assert sum(counts["town"].values()) == sum(counts["light_on"].values()) == 8
    assert raw_data.noise_count == 5
    split_of = dict[str, set[str]]()
    for speaker, split in raw_data.clips.filter(kind=ClipKind.WORD).values_list("speaker", "split"):
        split_of.setdefault(speaker, set()).add(split)
    assert Counter(len(splits) for splits in split_of.values()).keys() == {1}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"keywords": []}, "keywords"),
        ({"keywords": ["up", "UP "]}, "keywords"),
        ({"keywords": ["<b>"]}, "keywords"),
        ({"clips_per_word": 1}, "clips_per_word"),
        ({"accents": []}, "accents"),
        ({"voices": ["robots"]}, "voices.0"),
        ({"slowest": 200, "fastest": 100}, "fastest"),
        ({"lowest_pitch": 80}, "highest_pitch"),
        ({"near_misses": ["Up"]}, "near_misses"),
        ({"speed": 3}, "speed"),
    ],
)
def test_what_cannot_be_spoken(alice: User, workspace: Workspace, change: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as caught:
        services.synthesize(workspace=workspace, user=alice, name="Spoken", parameters={"keywords": ["up"], **change})
    assert set(caught.value.fields) == {field}


def test_an_example_is_spoken_before_the_synthesis(alice: User, workspace: Workspace) -> None:
    parameters = {"keywords": ["light on"], "accents": ["scottish"], "near_misses_per_keyword": 3}
    earlier = services.preview_speech(workspace=workspace, user=alice, parameters=parameters)
    preview = services.preview_speech(workspace=workspace, user=alice, parameters=parameters)
    assert not SpeechPreview.objects.filter(pk=earlier.pk).exists(), "one example for each person"
    claimed = jobs.claim(SpeechPreview, preview.pk, "worker")
    assert claimed is not None
    speak_preview.run(Attempt(claimed, threading.Event()))
    preview.refresh_from_db()
    assert (preview.state, preview.text) == (State.SUCCEEDED, "light on")
    assert preview.voice.startswith("Scottish, ")
    assert preview.near_misses[:2] == ["light", "on"]
    with wave.open(io.BytesIO(preview.wav)) as file:
        assert (file.getframerate(), file.getnframes() > 4000) == (16000, True)


# --- deleting ---------------------------------------------------------------------------------------------------------


def test_deleting_takes_rows_and_pack(words: RawData, store: Path) -> None:
    services.delete_raw_data(words)
    assert not RawData.objects.exists()
    assert not Clip.objects.exists()
    assert list((store / "raw").iterdir()) == []


def test_a_pack_that_others_use_stays(words: RawData, upload: Upload, work: Work, archive: Path) -> None:
    twin = work(upload(archive, "Twin"))
    assert twin.pack == words.pack
    services.delete_raw_data(words)
    assert storage.local_path(twin.pack, twin.pack_sha256).exists()


def test_what_is_being_imported_is_not_deleted(upload: Upload, archive: Path) -> None:
    raw_data = upload(archive)
    with pytest.raises(Conflict, match="being imported"):
        services.delete_raw_data(raw_data)
    jobs.request_cancel(raw_data.import_job)
    raw_data.import_job.refresh_from_db()
    services.delete_raw_data(raw_data)


def test_what_datasets_need_is_not_deleted(words: RawData, alice: User, workspace: Workspace) -> None:
    services.create_dataset(
        workspace=workspace, user=alice, raw_data=words, name="Directions",
        parameters={"keywords": ["up"], "clip_duration_ms": 250},
    )  # fmt: skip
    with pytest.raises(Conflict) as caught:
        services.delete_raw_data(words)
    assert caught.value.needed_by == ["dataset “Directions”"]
    assert words.clips.count() == 91


def test_different_rates_and_lengths_are_summed_up(upload: Upload, work: Work, tmp_path: Path) -> None:
    files = {f"up/{number}.wav": plain_wav(noise(8000, number), 8000) for number in range(3)}
    raw_data = work(upload(tar(tmp_path / "a.tar", {**files, "up/b.wav": plain_wav(noise(8000), 16000)})))
    assert (raw_data.sample_rate, raw_data.median_milliseconds, raw_data.seconds) == (8000, 1000, 3.5)
