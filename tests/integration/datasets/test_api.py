"""Raw data and datasets by REST."""

from __future__ import annotations

import errno
import io
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.test import Client
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from datasets_app.management.commands import import_speech_commands
from datasets_app.models import RawData, RawDataImport
from edgewise.accounts.models import User
from edgewise.jobs.models import State
from edgewise.storage import AtomicFileSystemStorage
from tests.integration.conftest import client_of
from tests.integration.datasets.conftest import Work
from tests.unit.audio.recordings import noise

pytestmark = pytest.mark.django_db
NOBODYS = "00000000-0000-7000-8000-000000000000"
DIRECTIONS = {"keywords": ["up", "down"], "clip_duration_ms": 250}


def problem(answer: Any, status: int) -> dict[str, Any]:
    assert answer.status_code == status
    assert answer["Content-Type"].startswith("application/problem+json")
    body: dict[str, Any] = answer.json()
    return body


def fields(answer: Any) -> set[str]:
    return {item["field"] for item in problem(answer, 400)["errors"]}


def row_of(answer: Any) -> RawData:
    assert answer.status_code == 201, answer.content
    return RawData.objects.select_related("import_job").get(pk=answer.json()["id"])


# --- raw data ---------------------------------------------------------------------------------------------------------


def test_an_archive_is_uploaded_and_read(script: APIClient, work: Work, archive: Path) -> None:
    with archive.open("rb") as file:
        made = script.post("/api/v1/raw-data", {"name": "Words", "file": file}, format="multipart")
    assert made.json()["job"]["state"] == "queued"
    work(row_of(made))
    read = script.get(f"/api/v1/raw-data/{made.json()['id']}").json()
    assert (read["job"]["state"], read["clip_count"], read["origin"]) == ("succeeded", 90, "uploaded")
    assert [row["name"] for row in script.get("/api/v1/raw-data?name=Words").json()["results"]] == ["Words"]


def test_a_full_disk_is_told_by_api_and_page(
    script: APIClient, client: Client, alice: User, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(AtomicFileSystemStorage, "_save", full)
    with archive.open("rb") as file:
        problem(script.post("/api/v1/raw-data", {"name": "Words", "file": file}, format="multipart"), 507)
    client.force_login(alice)
    with archive.open("rb") as file:
        page = client.post("/datasets/upload", {"name": "Words", "file": file})
    assert page.status_code == 507
    assert "The server has no more room" in page.content.decode()
    assert not RawData.objects.exists()


def test_words_are_synthesized(script: APIClient) -> None:
    asked = {"name": "Spoken", "synthesize": {"keywords": ["up", "down"], "clips_per_word": 50}}
    row = row_of(script.post("/api/v1/raw-data", asked))
    assert row.synthetic
    options = row.import_job.options
    assert (options["keywords"], options["clips_per_word"], options["seed"]) == (["up", "down"], 50, 0)


def test_places_on_the_server_are_for_administrators(script: APIClient, operator: User, archive: Path) -> None:
    problem(script.post("/api/v1/raw-data", {"location": str(archive)}), 403)
    row = row_of(client_of(operator).post("/api/v1/raw-data", {"location": str(archive)}))
    assert (row.shared, row.name) == (True, "SpeechCommands v2")


@pytest.mark.parametrize("body", [{}, {"name": "x"}, {"location": "/", "synthesize": {"keywords": ["up"]}}])
def test_exactly_one_source(script: APIClient, body: dict[str, Any]) -> None:
    assert fields(script.post("/api/v1/raw-data", body)) == {"file"}


def test_an_empty_file_is_refused(script: APIClient) -> None:
    empty = SimpleUploadedFile("words.zip", b"")
    assert fields(script.post("/api/v1/raw-data", {"file": empty}, format="multipart")) == {"file"}


def test_a_repeated_request_starts_one_import(script: APIClient) -> None:
    asked = {"name": "Spoken", "synthesize": {"keywords": ["up"]}}
    answers = [script.post("/api/v1/raw-data", asked, headers={"Idempotency-Key": "a"}) for _ in range(2)]
    assert {answer.json()["id"] for answer in answers} == {str(RawDataImport.objects.get().raw_data_id)}


def test_a_full_queue(script: APIClient, settings: Any) -> None:
    settings.JOB_QUEUE_LIMIT = 0
    assert "queue is full" in problem(
        script.post("/api/v1/raw-data", {"name": "x", "synthesize": {"keywords": ["up"]}}), 429
    )["detail"]  # fmt: skip
    assert not RawData.objects.exists()


def test_an_import_is_cancelled_and_deleted(script: APIClient) -> None:
    made = script.post("/api/v1/raw-data", {"name": "x", "synthesize": {"keywords": ["up"]}}).json()["id"]
    assert "being imported" in problem(script.delete(f"/api/v1/raw-data/{made}"), 409)["detail"]
    assert script.post(f"/api/v1/raw-data/{made}/cancel").json()["job"]["state"] == "cancelled"
    assert script.delete(f"/api/v1/raw-data/{made}").status_code == 204


def test_problems_are_listed(script: APIClient, words: RawData) -> None:
    words.problems.create(name="up/a.wav", code="damaged", reason="It is damaged.", remedy="Mend it.")
    words.problems.create(name="=up/b.wav", code="too-long", reason="It is long.", remedy="Cut it.")
    check = f"/api/v1/raw-data/{words.pk}/check"
    damaged = {"name": "up/a.wav", "code": "damaged", "reason": "It is damaged.", "remedy": "Mend it."}
    assert script.get(check).json()["results"][0] == damaged
    assert script.get(f"{check}?code=damaged").json()["results"] == [damaged]
    assert script.get(f"{check}?limit=1").json()["next"]
    assert script.get(f"{check}/summary").json() == [{"code": "damaged", "count": 1}, {"code": "too-long", "count": 1}]


def test_problems_are_downloaded_for_a_spreadsheet(script: APIClient, words: RawData) -> None:
    words.problems.create(name="=up/b.wav", code="too-long", reason="It is long.", remedy="Cut it.")
    answer = script.get(f"/api/v1/raw-data/{words.pk}/check?format=csv")
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    lines = b"".join(answer.streaming_content).decode().splitlines()
    # A name is no formula.
    assert lines == ["file,code,reason,remedy", "'=up/b.wav,too-long,It is long.,Cut it."]


def test_what_datasets_need_is_not_deleted(script: APIClient, words: RawData) -> None:
    body = {"raw_data": words.pk, "name": "Directions", "parameters": DIRECTIONS}
    dataset = script.post("/api/v1/datasets", body).json()["id"]
    answer = problem(script.delete(f"/api/v1/raw-data/{words.pk}"), 409)
    assert answer["needed_by"] == ["dataset “Directions”"]
    assert script.delete(f"/api/v1/datasets/{dataset}").status_code == 204
    assert script.delete(f"/api/v1/raw-data/{words.pk}").status_code == 204


# --- clips ------------------------------------------------------------------------------------------------------------


def test_clips_are_filtered_searched_and_paged(script: APIClient, words: RawData) -> None:
    clips = f"/api/v1/raw-data/{words.pk}/clips"
    assert len(script.get(f"{clips}?label=up&limit=100").json()["results"]) == 30
    assert [clip["name"] for clip in script.get(f"{clips}?kind=noise").json()["results"]] == [
        "_background_noise_/tap.wav"
    ]
    found = script.get(f"{clips}?search=00000007&speaker=00000007").json()["results"]
    assert {clip["label"] for clip in found} == {"up", "down", "left"}
    names, page = list[str](), f"{clips}?limit=40"
    while page:
        answer = script.get(page).json()
        names += [clip["name"] for clip in answer["results"]]
        page = answer["next"]
    assert len(names) == len(set(names)) == 91


def test_pages_of_clips_cost_few_queries(
    script: APIClient, words: RawData, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_max_num_queries(6):
        script.get(f"/api/v1/raw-data/{words.pk}/clips?limit=90")


@pytest.fixture
def audio(words: RawData) -> str:
    """Address of the audio of a clip that is `noise(800, 7)`."""
    clip = words.clips.get(name="up/00000007_nohash_0.wav")
    return f"/api/v1/raw-data/{words.pk}/clips/{clip.pk}/audio"


def test_a_clip_is_played(script: APIClient, audio: str) -> None:
    answer = script.get(audio)
    assert (answer["Content-Type"], answer["Accept-Ranges"]) == ("audio/wav", "bytes")
    with wave.open(io.BytesIO(answer.content)) as file:
        assert file.getparams()[:4] == (1, 2, 16000, 800)
        assert np.array_equal(np.frombuffer(file.readframes(800), "<i2"), noise(800, 7))


def test_a_stretch_of_a_clip_is_played(script: APIClient, audio: str) -> None:
    content = script.get(f"{audio}?offset=100&length=50").content
    assert np.array_equal(np.frombuffer(content[44:], "<i2"), noise(800, 7)[100:150])


@pytest.mark.parametrize(
    "query", ["offset=801", "offset=-1", "offset=x", "length=801", "offset=700&length=101", f"offset={'9' * 5000}"]
)
def test_a_stretch_outside_the_clip(script: APIClient, audio: str, query: str) -> None:
    assert len(fields(script.get(f"{audio}?{query}"))) == 1


def test_players_may_seek(script: APIClient, audio: str) -> None:
    whole = script.get(audio).content
    part = script.get(audio, headers={"Range": "bytes=44-143"})
    assert (part.status_code, part["Content-Range"]) == (206, f"bytes 44-143/{len(whole)}")
    assert part.content == whole[44:144]
    assert script.get(audio, headers={"Range": "bytes=99999-"}).status_code == 416


# --- datasets ---------------------------------------------------------------------------------------------------------


def test_all_that_is_wrong_with_a_dataset_is_told_at_once(script: APIClient, words: RawData) -> None:
    wrong = {"raw_data": str(words.pk), "name": " ", "parameters": {"keywords": [], "sample_rate": 1}}
    answer = script.post("/api/v1/datasets", wrong, format="json")
    assert fields(answer) == {"name", "keywords", "sample_rate"}
    assert "Keywords: give at least 1." in answer.json()["detail"]


def test_a_dataset_is_made_counted_and_renamed(script: APIClient, words: RawData) -> None:
    body = {"raw_data": words.pk, "name": "Directions", "parameters": DIRECTIONS}
    counted = script.post("/api/v1/datasets/counts", body).json()
    made = script.post("/api/v1/datasets", body)
    assert made.status_code == 201
    dataset = made.json()
    assert dataset["labels"] == ["<silence>", "<unknown>", "up", "down"]
    assert dataset["counts"] == counted["labels"]
    assert dataset["parameters"]["sample_rate"] == 16000
    assert any("up has only 30 clips" in warning for warning in counted["warnings"])
    address = f"/api/v1/datasets/{dataset['id']}"
    assert script.patch(address, {"name": "Turns"}).json()["name"] == "Turns"
    assert script.get(address).json()["name"] == "Turns"


def test_mistakes_name_their_fields(script: APIClient, words: RawData) -> None:
    def create(**parameters: Any) -> Any:
        body = {"raw_data": words.pk, "name": "x", "parameters": {**DIRECTIONS, **parameters}}
        return script.post("/api/v1/datasets", body)

    wrong = create(keywords=["upp"])
    assert fields(wrong) == {"keywords"}
    assert "Did you mean up?" in wrong.json()["detail"]
    assert fields(create(sample_rate=1, clip_duration_ms=1)) == {"sample_rate", "clip_duration_ms"}
    assert fields(script.post("/api/v1/datasets", {})) == {"raw_data", "name", "parameters"}
    script.post("/api/v1/datasets", {"raw_data": words.pk, "name": "x", "parameters": DIRECTIONS})
    assert fields(create()) == {"name"}


# --- walls ------------------------------------------------------------------------------------------------------------


def test_another_workspace_is_not_there(script: APIClient, bob: User, words: RawData, audio: str) -> None:
    dataset = script.post(
        "/api/v1/datasets", {"raw_data": words.pk, "name": "Directions", "parameters": DIRECTIONS}
    ).json()["id"]  # fmt: skip
    stranger, raw = client_of(bob), f"/api/v1/raw-data/{words.pk}"
    for address in (raw, f"{raw}/check", f"{raw}/clips", audio, f"/api/v1/datasets/{dataset}"):
        unknown = address.replace(str(words.pk), NOBODYS).replace(dataset, NOBODYS)
        assert problem(stranger.get(address), 404) == problem(stranger.get(unknown), 404)
    for answer in (
        stranger.delete(raw), stranger.post(f"{raw}/cancel"), stranger.delete(f"/api/v1/datasets/{dataset}"),
        stranger.patch(f"/api/v1/datasets/{dataset}", {"name": "mine"}),
        stranger.post("/api/v1/datasets", {"raw_data": words.pk, "name": "x", "parameters": DIRECTIONS}),
        stranger.post("/api/v1/datasets/counts", {"raw_data": words.pk, "parameters": DIRECTIONS}),
    ):  # fmt: skip
        problem(answer, 404)
    assert stranger.get("/api/v1/raw-data").json()["results"] == []


@pytest.mark.parametrize("address", ["raw-data/x", "raw-data/x/clips", f"raw-data/{'-' * 36}/clips", "datasets/x"])
def test_what_is_no_id_is_not_there(script: APIClient, address: str) -> None:
    assert script.get(f"/api/v1/{address}").status_code == 404


def test_shared_data_is_read_by_all_and_changed_by_administrators(bob: User, operator: User, words: RawData) -> None:
    RawData.objects.filter(pk=words.pk).update(shared=True)
    stranger, raw = client_of(bob), f"/api/v1/raw-data/{words.pk}"
    assert stranger.get(raw).status_code == 200
    made = stranger.post("/api/v1/datasets", {"raw_data": words.pk, "name": "x", "parameters": DIRECTIONS})
    assert made.status_code == 201
    problem(stranger.delete(raw), 403)
    stranger.delete(f"/api/v1/datasets/{made.json()['id']}")
    assert client_of(operator).delete(raw).status_code == 204


def test_who_has_no_token_sees_nothing(words: RawData) -> None:
    assert APIClient().get(f"/api/v1/raw-data/{words.pk}").status_code in (401, 403)


# --- command line -----------------------------------------------------------------------------------------------------


@pytest.fixture
def follow(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    """Do the work where the command would watch a worker do it."""

    def follow(job: RawDataImport, title: str) -> RawDataImport:
        return work(job.raw_data).import_job

    monkeypatch.setattr(import_speech_commands, "follow", follow)


def test_the_command_imports(operator: User, archive: Path, follow: None, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("import_speech_commands", str(archive))
    assert "SpeechCommands v2: 90 clips of 3 words, 1 of noise, 0 files" in capsys.readouterr().out
    assert RawData.objects.get().import_job.state == State.SUCCEEDED


def test_the_command_says_why_not(operator: User, tmp_path: Path, follow: None) -> None:
    with pytest.raises(CommandError, match="no file or folder"):
        call_command("import_speech_commands", str(tmp_path / "nothing"))
    (tmp_path / "letter.zip").write_bytes(b"Dear server")
    with pytest.raises(CommandError, match="no archive that Edgewise can read"):
        call_command("import_speech_commands", str(tmp_path / "letter.zip"))


def test_the_command_needs_an_administrator(db: None, archive: Path) -> None:
    with pytest.raises(CommandError, match="no administrator"):
        call_command("import_speech_commands", str(archive))
