"""Takes of a microphone: stored at once, checked, played, forgotten, and made into clips by the worker."""

from __future__ import annotations

import io
import struct
import threading
import uuid
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from django.core.files import File
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.test import Client
from rest_framework.test import APIClient

from datasets_app import services as datasets
from datasets_app.models import Clip, ClipKind, RawData, RawDataImport, Take
from datasets_app.recording import services
from edgewise.accounts.models import User, Workspace
from edgewise.errors import Conflict, Invalid
from edgewise.jobs import services as jobs
from edgewise.jobs.models import State
from edgewise.spec.quality import FindingCode
from edgewise.wav import wav_header
from tests.integration.conftest import client_of
from tests.integration.datasets.conftest import Work
from tests.unit.audio.recordings import encoded, noise
from workers.attempt import Attempt
from workers.jobs import assemble_takes, import_raw_data

pytestmark = pytest.mark.django_db
RATE = 48000


def wav(samples: npt.NDArray[np.int16], rate: int) -> bytes:
    """Write what the page of the microphone sends."""
    return wav_header(len(samples), rate) + samples.astype("<i2").tobytes()


@pytest.fixture
def recording(workspace: Workspace, alice: User) -> RawData:
    """Raw data of two words, nothing of which is recorded yet."""
    parameters = {"words": ["up", "Light on"], "clip_duration_ms": 250}
    return services.begin_recording(workspace=workspace, user=alice, name="Mine", parameters=parameters)


Say = Callable[..., Take]


@pytest.fixture
def say(recording: RawData, alice: User) -> Say:
    """Record one take."""

    def say(label: str = "up", *, seed: int = 0, seconds: float = 0.25, **rest: Any) -> Take:
        content = wav(noise(int(RATE * seconds), seed), RATE)
        file: File[bytes] = ContentFile(content, "take.wav")
        return services.add_take(raw_data=recording, user=alice, file=file, label=label, **rest)

    return say


def finished(raw_data: RawData, work: Work) -> RawData:
    services.finish(RawData.objects.select_related("import_job").get(pk=raw_data.pk))
    return work(RawData.objects.select_related("import_job").get(pk=raw_data.pk))


def samples_of(clip: Clip) -> npt.NDArray[np.int16]:
    with default_storage.open(RawData.objects.get(pk=clip.raw_data_id).pack) as pack:
        pack.seek(2 * clip.offset)
        return np.frombuffer(pack.read(2 * clip.length), dtype="<i2")


# --- takes ------------------------------------------------------------------------------------------------------------


def test_a_recording_begins_without_clips_and_cannot_be_a_dataset_yet(
    recording: RawData, workspace: Workspace, alice: User
) -> None:
    assert (recording.origin, recording.clip_count, recording.import_job.state) == ("recorded", 0, "succeeded")
    assert recording.import_job.options["words"] == ["up", "light_on"]
    with pytest.raises(Invalid, match="“up” is not in “Mine”"):
        datasets.create_dataset(
            workspace=workspace, user=alice, raw_data=recording, name="D", parameters={"keywords": ["up"]}
        )
    with pytest.raises(Conflict, match="Nothing new was recorded"):
        services.finish(recording)


def test_takes_become_clips_with_the_same_id_and_sound(recording: RawData, say: Say, work: Work, store: Path) -> None:
    takes = [say(seed=number, speaker="Ada B") for number in range(12)] + [say("light on", seed=20)]
    hum = say(kind=ClipKind.NOISE, seed=30, seconds=2)
    row = finished(recording, work)
    assert (row.import_job.state, row.clip_count, row.noise_count, row.takes.count()) == ("succeeded", 13, 1, 0)
    assert (row.sample_rate, row.median_milliseconds) == (RATE, 250)
    assert row.label_counts["up"] == {"train": 10, "validation": 1, "test": 1}
    for number, take in enumerate(takes[:12]):
        clip = Clip.objects.get(pk=take.pk)
        assert (clip.label, clip.speaker, clip.name) == ("up", "Ada_B", f"up/Ada_B_nohash_{take.pk}.wav")
        assert np.array_equal(samples_of(clip), noise(RATE // 4, number))
    assert Clip.objects.get(pk=hum.pk).kind == ClipKind.NOISE
    assert list(store.glob("takes/*/*.wav")) == []


def test_where_no_word_can_be_read_takes_are_kept_and_the_reason_is_told(
    recording: RawData, say: Say, work: Work
) -> None:
    hum = say(kind=ClipKind.NOISE, seconds=2)
    default_storage.delete(say().file_name)
    assert "no recorded words" in finished(recording, work).import_job.failure_reason
    assert Take.objects.filter(pk=hum.pk).exists()


def test_more_takes_leave_the_clips_that_are_there_as_they_were(
    recording: RawData, say: Say, work: Work, store: Path
) -> None:
    say(seed=1)
    first = finished(recording, work)
    before = Clip.objects.values().get()
    say(seed=2)
    second = finished(recording, work)
    assert Clip.objects.values().get(pk=before["id"]) == before
    assert second.clip_count == 2
    assert [samples_of(clip).tolist() for clip in second.clips.order_by("offset")] == [
        noise(RATE // 4, seed).tolist() for seed in (1, 2)
    ]
    # Runs that heard the first pack still find it.
    assert second.earlier_packs == [first.pack]
    assert (store / first.pack).exists()
    datasets.delete_raw_data(second)
    assert list(store.rglob("*.pcm")) == []


def test_datasets_count_what_is_recorded_later(
    recording: RawData, say: Say, work: Work, workspace: Workspace, alice: User, browser: Client
) -> None:
    for number in range(10):
        say(seed=number)
        say("light on", seed=20 + number)
    dataset = datasets.create_dataset(
        workspace=workspace, user=alice, raw_data=finished(recording, work), name="D",
        parameters={"keywords": ["up"], "clip_duration_ms": 250},
    )  # fmt: skip
    before = dataset.totals["train"]
    say(seed=40)
    finished(recording, work)
    assert browser.get(f"/datasets/{dataset.pk}/").context["dataset"].totals["train"] > before


def test_deleting_a_recording_leaves_the_packs_that_another_one_needs(
    recording: RawData, say: Say, work: Work, workspace: Workspace, alice: User, store: Path
) -> None:
    def record(other: RawData, *seeds: int) -> RawData:
        for seed in seeds:
            file: File[bytes] = ContentFile(wav(noise(RATE // 4, seed), RATE), "take.wav")
            services.add_take(raw_data=other, user=alice, file=file, label="up")
        return finished(other, work)

    same = services.begin_recording(workspace=workspace, user=alice, name="Same sound", parameters={"words": ["up"]})
    first, pack = record(recording, 1), record(same, 1).pack
    assert first.pack == pack
    longer = record(same, 2)
    datasets.delete_raw_data(first)
    assert (store / pack).exists(), "runs on “Same sound” read it"
    again = record(
        services.begin_recording(workspace=workspace, user=alice, name="Third", parameters={"words": ["up"]}), 1
    )
    datasets.delete_raw_data(longer)
    assert [path.name for path in store.rglob("*.pcm")] == [Path(again.pack).name]


def test_takes_are_checked_together_with_the_clips_before_them(recording: RawData, say: Say, work: Work) -> None:
    say(seed=1, speaker="Ada")
    finished(recording, work)
    twice = say(seed=1, speaker="Ada")
    row = finished(recording, work)
    noticed = row.findings.get()
    assert (noticed.code, noticed.clip_id) == (FindingCode.EXACT_DUPLICATE, twice.pk)
    say(seed=3, speaker="Ada")
    assert finished(recording, work).findings.get().clip_id == twice.pk


def test_an_attempt_that_dies_keeps_every_take(recording: RawData, say: Say, monkeypatch: Any, work: Work) -> None:
    takes = [say(seed=number) for number in range(3)]
    services.finish(recording)
    job = jobs.claim(RawDataImport, recording.import_job.pk, "worker")
    assert job is not None
    monkeypatch.setattr(assemble_takes, "_write", lambda *rest: (_ for _ in ()).throw(MemoryError))
    with pytest.raises(MemoryError):
        import_raw_data.run(Attempt(job, threading.Event()))
    monkeypatch.undo()
    assert Take.objects.count() == 3
    jobs.crashed(job, "The worker died.")
    row = work(RawData.objects.select_related("import_job").get(pk=recording.pk))
    assert (row.import_job.state, {clip.pk for clip in row.clips.all()}) == ("succeeded", {take.pk for take in takes})


def test_a_take_that_is_gone_from_the_store_is_told_of(recording: RawData, say: Say, work: Work) -> None:
    lost = say(seed=1)
    say(seed=2)
    default_storage.delete(lost.file_name)
    row = finished(recording, work)
    assert (row.clip_count, row.problem_count) == (1, 1)
    assert row.problems.get().remedy == "Record it again."


def test_takes_are_safe_while_they_are_put_together(recording: RawData, say: Say) -> None:
    take = say()
    services.finish(recording)
    with pytest.raises(Conflict, match="being put together"):
        services.delete_take(take)
    with pytest.raises(Conflict, match="already"):
        services.finish(RawData.objects.select_related("import_job").get(pk=recording.pk))


def test_people_are_kept_apart_by_default_where_there_are_enough(recording: RawData, say: Say, work: Work) -> None:
    for number, who in enumerate(("Ada", "Grace", "Edsger")):
        say(seed=number, speaker=who)
        say("light on", seed=10 + number, speaker=who)
    prefilled = datasets.prefill(finished(recording, work))
    assert prefilled["parameters"]["split"] == "speaker"
    assert "3 people" in prefilled["read_from"]["split"]


def test_a_new_word_joins_those_that_are_recorded(recording: RawData, say: Say) -> None:
    say("Kettle")
    services.add_words(recording, ["good night", "up"])
    job = RawDataImport.objects.get(raw_data=recording)
    assert job.options["words"] == ["up", "light_on", "kettle", "good_night"]


@pytest.mark.parametrize(
    ("words", "message"), [([], "give at least 1"), (["up", " UP "], "each word once"), (["a/b"], "use letters")]
)
def test_words_that_cannot_be_recorded(workspace: Workspace, alice: User, words: list[str], message: str) -> None:
    with pytest.raises(Invalid, match=message) as refused:
        services.begin_recording(workspace=workspace, user=alice, name="Mine", parameters={"words": words})
    assert set(refused.value.fields) == {"words"}


@pytest.mark.parametrize(
    ("change", "field", "message"),
    [
        ({"label": ""}, "label", "which word"),
        ({"label": "<unknown>"}, "label", "letters, digits"),
        ({"label": "_background_noise_"}, "label", "kept for noise"),
        ({"speaker": "../../etc"}, "speaker", "at most 60 letters"),
        ({"seconds": 0.05}, "file", "0.05 s"),
        ({"seconds": 16}, "file", "16.00 s"),
    ],
)
def test_a_take_that_cannot_be_is_refused(say: Say, change: dict[str, Any], field: str, message: str) -> None:
    with pytest.raises(Invalid, match=message) as refused:
        say(**{"label": "up", **change})
    assert set(refused.value.fields) == {field}
    assert not Take.objects.exists()


# --- REST -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def address(script: APIClient) -> str:
    """Address of the takes of raw data that was begun by REST."""
    made = script.post("/api/v1/raw-data", {"name": "Mine", "record": {"words": ["up"]}})
    assert made.status_code == 201, made.content
    return f"/api/v1/raw-data/{made.json()['id']}/takes"


def send(client: APIClient, address: str, content: bytes, **values: str) -> Any:
    body = {"file": ContentFile(content, "take.wav"), "label": "up", **values}
    headers = {"Idempotency-Key": "once"} if values.pop("again", None) else {}
    return client.post(address, body, format="multipart", headers=headers)


def test_takes_by_rest(script: APIClient, address: str) -> None:
    content = wav(noise(RATE, 7), RATE)
    take = send(script, address, content, speaker="Ada").json()
    assert (take["label"], take["speaker"], take["length"], take["sample_rate"]) == ("up", "Ada", RATE, RATE)
    assert script.get(f"{address}?label=up").json()["results"] == [take]
    played = script.get(f"{address}/{take['id']}/audio", headers={"Range": "bytes=0-43"})
    assert (played.status_code, len(played.content)) == (206, 44)
    with wave.open(io.BytesIO(script.get(f"{address}/{take['id']}/audio").content)) as file:
        assert np.array_equal(np.frombuffer(file.readframes(RATE), dtype="<i2"), noise(RATE, 7))
    assert script.delete(f"{address}/{take['id']}").status_code == 204
    assert script.get(f"{address}/{take['id']}/audio").status_code == 404


def test_a_take_that_is_sent_twice_is_one_take(script: APIClient, address: str) -> None:
    content = wav(noise(RATE), RATE)
    answers = [send(script, address, content, again="yes").json()["id"] for _ in range(2)]
    assert answers[0] == answers[1]
    assert Take.objects.count() == 1


def test_finishing_by_rest(script: APIClient, address: str, work: Work) -> None:
    assert script.post(f"{address}/finish").status_code == 409
    send(script, address, wav(noise(RATE), RATE))
    assert script.post(f"{address}/finish").json()["job"]["state"] == "queued"
    work(RawData.objects.select_related("import_job").get())
    assert script.get(address.removesuffix("/takes")).json()["clip_count"] == 1


def test_other_peoples_takes_do_not_exist(script: APIClient, address: str, bob: User) -> None:
    take = send(script, address, wav(noise(RATE), RATE)).json()["id"]
    stranger = client_of(bob)
    for path in (address, f"{address}/{take}", f"{address}/{take}/audio"):
        assert stranger.get(path).status_code == 404
    assert send(stranger, address, wav(noise(RATE), RATE)).status_code == 404
    assert stranger.post(f"{address}/finish").status_code == 404


def test_data_that_was_uploaded_takes_no_takes(script: APIClient, words: RawData) -> None:
    answer = send(script, f"/api/v1/raw-data/{words.pk}/takes", wav(noise(RATE), RATE))
    assert answer.status_code == 409
    assert "was not recorded here" in answer.json()["detail"]


WAV = wav(noise(RATE), RATE)
HOSTILE = {
    "nothing": b"",
    "rubbish": b"rubbish" * 100,
    "a header alone": WAV[:44],
    "half a header": WAV[:20],
    "fewer samples than it claims": WAV[:2000],
    "a header that claims 4 GiB": WAV[:40] + struct.pack("<I", 2**32 - 2) + WAV[44:],
    "stereo": encoded(noise(RATE, channels=2), RATE),
    "24 bits": encoded(noise(RATE), RATE, subtype="PCM_24"),
    "float": encoded(noise(RATE).astype(np.float32), RATE, subtype="FLOAT"),
    "flac": encoded(noise(RATE), RATE, "FLAC"),
    "a rate of 0 Hz": WAV[:24] + struct.pack("<I", 0) + WAV[28:],
    "a rate of 4 GHz": WAV[:24] + struct.pack("<I", 2**32 - 1) + WAV[28:],
    "zip before the wav": b"PK\x03\x04" + WAV,
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_hostile_bodies_are_refused_with_a_reason(script: APIClient, address: str, store: Path, content: bytes) -> None:
    answer = send(script, address, content)
    assert answer.status_code == 400
    assert [item["field"] for item in answer.json()["errors"]] == ["file"]
    assert list(store.rglob("*.wav")) == []


def test_a_file_longer_than_any_take_is_refused_unread(script: APIClient, address: str) -> None:
    assert send(script, address, bytes(8 * 2**20)).status_code == 413


def test_a_take_without_a_file(script: APIClient, address: str) -> None:
    answer = script.post(address, {"label": "up"}, format="multipart")
    assert [item["field"] for item in answer.json()["errors"]] == ["file"]


def test_a_job_that_failed_is_done_again(recording: RawData, say: Say) -> None:
    say()
    RawDataImport.objects.filter(raw_data=recording).update(state=State.FAILED)
    services.finish(RawData.objects.select_related("import_job").get(pk=recording.pk))
    assert RawDataImport.objects.get(raw_data=recording).state == State.QUEUED


# --- pages ------------------------------------------------------------------------------------------------------------


def test_pages_of_a_recording_lead_back_to_the_microphone(browser: Client, recording: RawData, say: Say) -> None:
    record = f"/datasets/raw/{recording.pk}/record"
    for address in ("/datasets/", f"/datasets/raw/{recording.pk}/"):
        page = browser.get(address).content.decode()
        assert f'href="{record}"' in page
        assert f"/datasets/raw/{recording.pk}/new" not in page, "no dataset without clips"
    say()
    assert "1 take so far" in browser.get("/datasets/").content.decode()
    assert "1 of 50" in browser.get(record).content.decode()


@pytest.mark.parametrize("state", [State.QUEUED, State.FAILED, State.CANCELLED])
def test_what_there_was_stays_while_more_is_put_together_and_nobody_is_sent_to_delete_it(
    browser: Client, recording: RawData, say: Say, work: Work, workspace: Workspace, alice: User, state: State
) -> None:
    for number in range(10):
        say(seed=number)
    say("light on", seed=20)
    row = finished(recording, work)
    datasets.create_dataset(
        workspace=workspace, user=alice, raw_data=row, name="My words",
        parameters={"keywords": ["up"], "clip_duration_ms": 250},
    )  # fmt: skip
    say(seed=21)
    ended = None if state == State.QUEUED else row.import_job.finished_at
    RawDataImport.objects.filter(raw_data=row).update(state=state, finished_at=ended)
    for address in ("/datasets/", f"/datasets/raw/{row.pk}/"):
        page = browser.get(address).content.decode()
        assert "My words" in page
        assert "start again" not in page
        assert ("Nothing is lost" in page) == (state != State.QUEUED)


def test_words_are_begun_added_and_finished_by_forms(browser: Client, recording: RawData, say: Say) -> None:
    begun = browser.post("/datasets/record", {"name": "Second", "words": "a, good night", "clip_duration_ms": "800"})
    assert begun["Location"].endswith("/record")
    refused = browser.post("/datasets/record", {"name": "Third", "words": "a/b", "clip_duration_ms": "5"})
    assert (refused.status_code, refused.context["error"].fields.keys()) == (400, {"words", "clip_duration_ms"})
    record = f"/datasets/raw/{recording.pk}/record"
    assert browser.post(f"{record}/words", {"words": "kettle"}).status_code == 302
    assert b"kettle" in browser.get(record).content
    assert b"Nothing new was recorded" in browser.post(f"{record}/finish").content
    say()
    assert browser.post(f"{record}/finish")["Location"] == "/datasets/"
    assert browser.get(f"/datasets/raw/{uuid.uuid4()}/record").status_code == 404
