"""Real recordings, packed by the real `nengo-edge package-dataset kws`, up to an artifact that the real client runs."""

from __future__ import annotations

import io
import json
import shutil
import urllib.request
import uuid
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.client.conftest import run_as_client
from tests.installation import Installation, wait_for
from tests.unit.audio.recordings import noise, plain_wav

pytestmark = pytest.mark.timeout(400)

WORDS = ["one", "two", "three"]
SPLITS = {"train": 24, "validation": 8, "test": 8}
RATE = 8000


@pytest.fixture(scope="module")
def recordings(shared_audio: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the client wants it: real digits at 8 kHz, or noise where they are not at hand."""
    folder = tmp_path_factory.mktemp("recordings") / "digits"
    real = shared_audio / "digits_8khz.tar.gz"
    if real.exists():
        shutil.unpack_archive(real, folder)
        return folder
    for split, count in SPLITS.items():
        for number, word in enumerate(WORDS):
            (folder / split / word).mkdir(parents=True)
            for take in range(count):
                clip = plain_wav(noise(RATE // 2, 1000 * number + take), RATE)
                (folder / split / word / f"{number}_george_{take}.wav").write_bytes(clip)
    return folder


@pytest.fixture(scope="module")
def package(recordings: Path, client_python: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the real client makes of it."""
    outside = tmp_path_factory.mktemp("package")
    program = Path(client_python).with_name("nengo-edge")
    run_as_client(outside, str(program), "package-dataset", "kws", str(recordings))
    (packed,) = outside.glob("kws-*.tar.gz")
    return packed


def made(place: Installation, path: str, **body: Any) -> Any:
    """Make something and wait until the job that makes it has ended."""
    return ended(place, path.rpartition("/")[2], place.call("POST", f"/{path}", body))


def ended(place: Installation, kind: str, row: Any) -> Any:
    def done() -> bool:
        row.update(place.call("GET", f"/{kind}/{row['id']}"))
        return row["job"]["state"] not in ("queued", "running", "interrupted")

    if "job" in row:
        wait_for(done, f"{kind} is made", 200)
        assert row["job"]["state"] == "succeeded", row["job"]
    return row


def uploaded(place: Installation, package: Path) -> Any:
    """Upload a file by REST, and wait until it is checked."""
    mark = uuid.uuid4().hex
    head = f'--{mark}\r\nContent-Disposition: form-data; name="file"; filename="{package.name}"\r\n\r\n'
    request = urllib.request.Request(
        f"http://127.0.0.1:{place.port}/api/v1/raw-data",
        data=head.encode() + package.read_bytes() + f"\r\n--{mark}--\r\n".encode(),
        headers={"Authorization": f"Bearer {place.token}", "Content-Type": f"multipart/form-data; boundary={mark}"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return ended(place, "raw-data", json.load(answer))


def test_a_package_becomes_an_artifact_that_the_client_runs(
    installation: Installation, package: Path, recordings: Path, client_python: str, tmp_path: Path
) -> None:
    raw_data = uploaded(installation, package)
    files = len(list(recordings.rglob("*.wav")))
    assert (raw_data["clip_count"], raw_data["problem_count"], raw_data["sample_rate"]) == (files, 0, RATE)
    dataset = made(
        installation, "datasets", name="Digits", raw_data=raw_data["id"],
        parameters={"keywords": WORDS, "silence_percentage": 0, "unknown_percentage": 0},
    )  # fmt: skip
    assert dataset["parameters"]["sample_rate"] == RATE
    run = made(
        installation, "runs", name="Digits 1", project=made(installation, "projects", name="Digits")["id"],
        dataset=dataset["id"],
        parameters={"network": "kws-small", "steps": 20, "validation_interval": 20, "batch_size": 32},
    )  # fmt: skip
    artifact = made(installation, f"runs/{run['id']}/artifacts", format="binary")
    request = urllib.request.Request(
        f"http://127.0.0.1:{installation.port}{artifact['download']}",
        headers={"Authorization": f"Bearer {installation.token}"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        zipfile.ZipFile(io.BytesIO(answer.read())).extractall(tmp_path)
    parameters = json.loads((tmp_path / "parameters.json").read_text())
    assert (parameters["labels"], parameters["preprocessing"]["sample_rate"]) == (WORDS, RATE)
    lines = run_as_client(tmp_path, client_python, "try_it.py").splitlines()
    assert [line.split()[0] for line in lines[:4]] == ["ok"] * 4
