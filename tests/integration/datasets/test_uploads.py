"""Uploads by tus: what each request does, what is refused and why, and what becomes of the bytes."""

from __future__ import annotations

import base64
import datetime
import errno
import hashlib
import io
import shutil
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import Settings
from rest_framework.test import APIClient

from datasets_app import uploads
from datasets_app.models import RawData, Upload
from edgewise.accounts.models import User
from tests.integration.conftest import client_of
from tests.integration.datasets.conftest import Work

pytestmark = pytest.mark.django_db
ADDRESS = "/api/v1/uploads"
TUS = {"Tus-Resumable": "1.0.0"}
CHUNK = "application/offset+octet-stream"


@pytest.fixture
def folder(home: Path) -> Path:
    return home / "uploads"


def metadata(**texts: str) -> str:
    return ",".join(f"{key} {base64.b64encode(text.encode()).decode()}" for key, text in texts.items())


def begin(client: APIClient, size: int | str, **texts: str) -> Any:
    headers = {**TUS, "Upload-Length": str(size), "Upload-Metadata": metadata(**texts)}
    return client.post(ADDRESS, headers=headers)


def address_of(client: APIClient, size: int, **texts: str) -> str:
    answer = begin(client, size, **texts)
    assert answer.status_code == 201, answer.content
    return str(answer["Location"]).removeprefix("http://testserver")


def send(client: APIClient, address: str, offset: int | str, content: bytes, **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    sent = {**TUS, "Upload-Offset": str(offset), **named}
    return client.generic("PATCH", address, content, CHUNK, headers=sent)


def offset_of(client: APIClient, address: str) -> int:
    answer = client.head(address, headers=TUS)
    assert (answer.status_code, answer["Cache-Control"]) == (200, "no-store")
    return int(answer["Upload-Offset"])


def problem(answer: Any, status: int) -> str:
    assert answer.status_code == status, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    assert answer["Tus-Resumable"] == "1.0.0"
    body = answer.json()
    return f"{body['detail']} {body.get('remedy', '')}"


# --- the way of an archive --------------------------------------------------------------------------------------------


def test_the_last_byte_begins_the_import(script: APIClient, work: Work, archive: Path) -> None:
    content = archive.read_bytes()
    address = address_of(script, len(content), name="Küche", filename="words.tar.gz")
    assert send(script, address, 0, content[:1000])["Upload-Offset"] == "1000"
    assert offset_of(script, address) == 1000
    assert not RawData.objects.exists()
    answer = send(script, address, 1000, content[1000:])
    assert (answer.status_code, answer["Upload-Offset"]) == (204, str(len(content)))
    made = script.get(address).json()["raw_data"]
    assert work(RawData.objects.get(pk=made)).clip_count == 90
    assert RawData.objects.get().name == "Küche"
    assert offset_of(script, address) == len(content)


def test_without_a_name_it_waits_to_be_referred_to(script: APIClient, work: Work, archive: Path) -> None:
    content = archive.read_bytes()
    address = address_of(script, len(content), filename="words.tar.gz")
    upload = {"upload": address.rpartition("/")[2], "name": "Words"}
    assert "Only 0 of" in script.post("/api/v1/raw-data", upload).json()["detail"]
    send(script, address, 0, content)
    assert not RawData.objects.exists()
    answer = script.post("/api/v1/raw-data", upload)
    assert work(RawData.objects.get(pk=answer.json()["id"])).clip_count == 90
    assert "raw data already" in script.post("/api/v1/raw-data", upload).json()["detail"]


def test_a_name_that_was_taken_meanwhile_costs_no_bytes(script: APIClient, words: RawData) -> None:
    address = address_of(script, 4, name="Late", filename="words.tar.gz")
    RawData.objects.filter(pk=words.pk).update(name="Late")
    said = problem(send(script, address, 0, b"PK\x05\x06"), 400)
    assert "is taken" in said
    assert "under another name" in said
    assert offset_of(script, address) == 4
    answer = script.post("/api/v1/raw-data", {"upload": address.rpartition("/")[2], "name": "Later"})
    assert answer.status_code == 201


def test_a_server_that_died_before_the_import_begins_it_later(script: APIClient, folder: Path) -> None:
    address = address_of(script, 4, name="Words", filename="words.zip")
    Upload.objects.get().path.write_bytes(b"PK\x05\x06")
    assert offset_of(script, address) == 4
    assert script.get(address).json()["raw_data"]


def test_bytes_that_were_stored_already_are_not_asked_for_again(script: APIClient, store: Path) -> None:
    address = address_of(script, 4, filename="words.zip")
    upload = Upload.objects.get()
    send(script, address, 0, b"PK\x05\x06")
    (store / upload.location).parent.mkdir(parents=True)
    shutil.move(upload.path, store / upload.location)
    assert offset_of(script, address) == 4
    assert script.post("/api/v1/raw-data", {"upload": str(upload.pk)}).json()["name"] == "words"


# --- what the protocol asks -------------------------------------------------------------------------------------------


def test_the_server_tells_what_it_can(script: APIClient, settings: Settings) -> None:
    answer = script.options(ADDRESS)
    assert answer.status_code == 204
    assert answer["Tus-Version"] == "1.0.0"
    assert answer["Tus-Max-Size"] == str(settings.MAX_UPLOAD)
    assert set(answer["Tus-Extension"].split(",")) == {"creation", "termination", "checksum", "expiration"}


def test_an_upload_says_what_it_is(script: APIClient) -> None:
    answer = script.head(address_of(script, 9, name="Küche", filename="a b.zip"), headers=TUS)
    assert answer["Upload-Metadata"] == metadata(filename="a b.zip", name="Küche")
    assert answer["Upload-Length"] == "9"
    assert answer["Upload-Expires"].endswith("GMT")


@pytest.mark.parametrize("method", ["post", "head", "patch", "delete"])
def test_another_version_is_refused(script: APIClient, method: str) -> None:
    address = ADDRESS if method == "post" else address_of(script, 9)
    for headers in ({}, {"Tus-Resumable": "0.2.2"}):
        answer = getattr(script, method)(address, headers=headers)
        assert (answer.status_code, answer["Tus-Version"]) == (412, "1.0.0")
    assert Upload.objects.count() == (method != "post")


def test_a_wrong_offset_is_a_conflict(script: APIClient) -> None:
    address = address_of(script, 9)
    send(script, address, 0, b"abc")
    for offset in (0, 2, 4):
        assert "stands at byte 3" in problem(send(script, address, offset, b"x"), 409)
    assert offset_of(script, address) == 3


def test_bytes_must_come_as_bytes(script: APIClient) -> None:
    address = address_of(script, 9)
    answer = script.generic("PATCH", address, b"abc", "application/json", headers={**TUS, "Upload-Offset": "0"})
    assert "offset+octet-stream" in problem(answer, 415)


def test_more_than_was_announced_is_refused(script: APIClient) -> None:
    address = address_of(script, 3)
    assert "announced with 3 bytes" in problem(send(script, address, 0, b"abcd"), 400)
    assert offset_of(script, address) == 0


@pytest.mark.parametrize("length", ["-1", "", "many", "1.5", "٣", "9" * 30])
def test_a_length_is_a_number(script: APIClient, length: str) -> None:
    assert "Upload-Length" in problem(begin(script, length), 400)


@pytest.mark.parametrize("offset", ["-1", "", "first", "1e3"])
def test_an_offset_is_a_number(script: APIClient, offset: str) -> None:
    assert "Upload-Offset" in problem(send(script, address_of(script, 9), offset, b"x"), 400)


@pytest.mark.parametrize(
    "header", ["name !!!", "name YQ=", f"name {base64.b64encode(bytes([255])).decode()}", metadata(name="a\0b")]
)
def test_rubbish_in_the_metadata_is_refused(script: APIClient, header: str) -> None:
    answer = script.post(ADDRESS, headers={**TUS, "Upload-Length": "9", "Upload-Metadata": header})
    assert "'name'" in problem(answer, 400)


@pytest.mark.parametrize("name", ["../../etc/passwd", "..", "C:\\words\\..\\a.zip", "/", ""])
def test_a_file_name_leads_nowhere_else(script: APIClient, name: str, folder: Path) -> None:
    address_of(script, 9, filename=name)
    upload = Upload.objects.get()
    assert "/" not in upload.file_name
    assert ".." not in upload.file_name
    assert [file.name for file in folder.iterdir()] == [str(upload.pk)]


@pytest.mark.parametrize("algorithm", ["sha1", "sha256"])
def test_a_chunk_is_compared_with_its_checksum(script: APIClient, algorithm: str) -> None:
    address = address_of(script, 9)
    checksum = base64.b64encode(hashlib.new(algorithm, b"abc").digest()).decode()
    assert "nothing of them was kept" in problem(
        send(script, address, 0, b"abd", Upload_Checksum=f"{algorithm} {checksum}"), 460
    )
    assert offset_of(script, address) == 0
    assert send(script, address, 0, b"abc", Upload_Checksum=f"{algorithm} {checksum}").status_code == 204
    assert offset_of(script, address) == 3


def test_an_unknown_checksum_is_refused(script: APIClient) -> None:
    assert "sha1, sha256" in problem(send(script, address_of(script, 9), 0, b"a", Upload_Checksum="md5 YQ=="), 400)


# --- limits -----------------------------------------------------------------------------------------------------------


def test_too_large(script: APIClient, settings: Settings) -> None:
    settings.MAX_UPLOAD = 2**30
    assert "EDGEWISE_MAX_UPLOAD" in problem(begin(script, 2**30 + 1, filename="words.zip"), 413)
    assert not Upload.objects.exists()


def test_empty(script: APIClient) -> None:
    assert "words.zip is empty" in problem(begin(script, 0, filename="words.zip"), 400)


def test_a_taken_name_is_told_before_the_first_byte(script: APIClient, words: RawData) -> None:
    assert "is taken" in problem(begin(script, 9, name=words.name), 400)


def test_no_room_for_all_of_it(script: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage("/")._replace(free=2**20)
    monkeypatch.setattr(uploads.shutil, "disk_usage", lambda _: usage)
    assert "room" in problem(begin(script, 2**21), 507)


def test_a_disk_that_fills_up_keeps_what_fitted(script: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    address = address_of(script, 9)
    upload = Upload.objects.get()

    class Full(io.FileIO):
        def write(self, content: Any) -> int:
            if self.tell() >= 4:
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(bytes(content)[:4])

    monkeypatch.setattr(Path, "open", lambda path, *_, **__: Full(str(path), "ab"))
    said = problem(send(script, address, 0, b"abcdefghi"), 507)
    monkeypatch.undo()
    assert "no more room" in said
    assert "resume" in said
    assert offset_of(script, address) == 4
    assert upload.path.read_bytes() == b"abcd"


def test_other_peoples_uploads_do_not_exist(script: APIClient, bob: User) -> None:
    address = address_of(script, 9)
    stranger = client_of(bob)
    assert stranger.head(address, headers=TUS).status_code == 404
    problem(stranger.get(address), 404)
    problem(send(stranger, address, 0, b"x"), 404)
    problem(stranger.delete(address, headers=TUS), 404)
    assert stranger.post("/api/v1/raw-data", {"upload": address.rpartition("/")[2]}).status_code == 404
    assert stranger.get(ADDRESS).json()["results"] == []
    assert len(script.get(ADDRESS).json()["results"]) == 1


def test_nothing_without_a_key() -> None:
    assert begin(APIClient(), 9).status_code == 401


# --- the end ----------------------------------------------------------------------------------------------------------


def test_an_upload_is_discarded(script: APIClient, folder: Path) -> None:
    address = address_of(script, 9)
    send(script, address, 0, b"abc")
    assert script.delete(address, headers=TUS).status_code == 204
    assert list(folder.iterdir()) == []
    assert script.head(address, headers=TUS).status_code == 404


def test_uploads_that_nobody_went_on_with_expire(script: APIClient, folder: Path) -> None:
    old, new = address_of(script, 9), address_of(script, 9)
    send(script, old, 0, b"abc")
    Upload.objects.filter(pk=old.rpartition("/")[2]).update(expires_at=timezone.now() - datetime.timedelta(hours=1))
    (folder / "left-by-a-row-that-is-gone").touch()
    uploads.delete_expired()
    assert script.head(old, headers=TUS).status_code == 404
    assert [file.name for file in folder.iterdir()] == [new.rpartition("/")[2]]


def test_each_byte_puts_the_expiry_off(script: APIClient) -> None:
    address = address_of(script, 9)
    soon = timezone.now() + datetime.timedelta(hours=1)
    Upload.objects.update(expires_at=soon)
    send(script, address, 0, b"abc")
    assert Upload.objects.get().expires_at > soon
