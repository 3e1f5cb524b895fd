"""Uploading in the browser: by choice, by dragging, whole folders; across pages, reloads and lost connections."""

from __future__ import annotations

import os
import re
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import CDPSession, Locator, Page, expect

from tests.browser.conftest import SignIn
from tests.browser.world import World
from tests.unit.audio.recordings import tar

NO_AUDIO = b"no audio"
"""In all recordings here: where a worker runs, it fails to import them, and leaves what arrived where it is."""
Line = Callable[[int | None], None]
SLOW = 2**19
"""Bytes per second."""
OFFLINE = re.compile(r": (Failed to load .*ERR_INTERNET_DISCONNECTED|htmx:(sendError|afterRequest), .*|undefined)$")
"""What Chromium and htmx say of a request while the line is cut; the list asks for news whenever there are some."""


@pytest.fixture
def datasets(page: Page, world: World, sign_in: SignIn) -> Page:
    sign_in(page, world.reader)
    return page


@pytest.fixture
def devtools(datasets: Page) -> CDPSession:
    return datasets.context.new_cdp_session(datasets)


@pytest.fixture
def line(devtools: CDPSession) -> Line:
    """Set the speed of the line, in bytes per second: 0 is its own, None cuts it."""

    def line(speed: int | None) -> None:
        limits = {"offline": speed is None, "latency": 0, "downloadThroughput": -1, "uploadThroughput": speed or -1}
        devtools.send("Network.emulateNetworkConditions", limits)

    return line


@pytest.fixture
def stored(environment: dict[str, str]) -> Callable[[str], Path]:
    """Find what arrived under a file's name."""

    def stored(name: str) -> Path:
        [found] = Path(environment["EDGEWISE_HOME"], "store", "uploads").glob(f"*/{name}")
        return found

    return stored


@pytest.fixture
def words(tmp_path: Path) -> Path:
    """A folder of files; one has a long name, one a name that is not ASCII."""
    folder = tmp_path / "Words at home"
    for name in ("up/a.wav", f"up/{'long' * 30}.wav", "größer/b.wav"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(NO_AUDIO + name.encode())
    return folder


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """Six megabytes that begin as an archive does."""
    path = tmp_path / f"{tmp_path.name}.zip"
    path.write_bytes(b"PK\x03\x04" + os.urandom(6 * 2**20))
    return path


def open_dialog(page: Page) -> Locator:
    page.get_by_role("link", name="Upload new data").first.click()
    page.locator("archive-picker[data-ready]").wait_for()
    return page.get_by_role("dialog")


def begin(page: Page, path: Path, name: str) -> None:
    dialog = open_dialog(page)
    dialog.get_by_label("Archive or folder").set_input_files(path)
    dialog.get_by_label("Name").fill(name)
    dialog.get_by_role("button", name="Upload").click()
    expect(dialog).to_be_hidden()


def box(page: Page) -> Locator:
    return page.get_by_role("region", name="Uploads")


def contents(path: Path) -> dict[str, bytes]:
    """The files of a tar: names below their common folder."""
    with tarfile.open(path) as archive:
        return {member.name.partition("/")[2]: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*.wav")}


# --- ways to choose ---------------------------------------------------------------------------------------------------


def test_an_archive_is_chosen(datasets: Page, tmp_path: Path, stored: Callable[[str], Path]) -> None:
    archive = tar(tmp_path / "chosen.tar.gz", {"up/a.wav": NO_AUDIO})
    dialog = open_dialog(datasets)
    dialog.get_by_label("Archive or folder").set_input_files(archive)
    expect(dialog.get_by_label("Name")).to_have_value("chosen")
    dialog.get_by_role("button", name="Upload").click()
    expect(datasets.get_by_role("region", name="chosen")).to_be_visible()
    expect(box(datasets)).to_be_hidden()
    assert stored("chosen.tar.gz").read_bytes() == archive.read_bytes()


def test_a_folder_is_packed_here(datasets: Page, words: Path, stored: Callable[[str], Path]) -> None:
    dialog = open_dialog(datasets)
    expect(dialog.get_by_role("button", name="Choose folder")).to_be_visible()
    dialog.get_by_label("Folder", exact=True).set_input_files(words)
    expect(dialog).to_contain_text("Words at home: 3 files")
    dialog.get_by_role("button", name="Upload").click()
    expect(datasets.get_by_role("region", name="Words at home")).to_be_visible()
    assert contents(stored("Words at home.tar")) == files_of(words)


def test_a_folder_is_dropped(datasets: Page, devtools: CDPSession, words: Path, stored: Callable[[str], Path]) -> None:
    folder = words.rename(words.with_name("Dropped"))
    dialog = open_dialog(datasets)
    place = dialog.get_by_label("Archive or folder").bounding_box()
    assert place is not None
    data = {"items": [], "files": [str(folder)], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        devtools.send("Input.dispatchDragEvent", {"type": kind, "x": place["x"] + 5, "y": place["y"] + 5, "data": data})
    expect(dialog).to_contain_text("Dropped: 3 files")
    dialog.get_by_role("button", name="Upload").click()
    expect(datasets.get_by_role("region", name="Dropped")).to_be_visible()
    assert contents(stored("Dropped.tar")) == files_of(folder)


# --- on the way -------------------------------------------------------------------------------------------------------


def test_the_upload_goes_on_while_pages_change(
    datasets: Page, line: Line, large: Path, stored: Callable[[str], Path]
) -> None:
    line(SLOW)
    begin(datasets, large, "Across pages")
    expect(box(datasets)).to_contain_text("kB/s")
    expect(box(datasets)).to_contain_text("left")
    for name in ("Runs", "Datasets", "Runs"):
        datasets.get_by_role("navigation").get_by_role("link", name=name).click()
        expect(box(datasets).get_by_text("Across pages")).to_be_visible()
    line(0)
    expect(box(datasets)).to_contain_text("the import has begun")
    assert stored(large.name).read_bytes() == large.read_bytes()
    box(datasets).get_by_role("link", name="Show").click()
    expect(datasets.get_by_role("region", name="Across pages")).to_be_visible()
    expect(box(datasets)).to_be_hidden()


def test_a_second_tab_shows_it_and_takes_over(
    datasets: Page, line: Line, large: Path, stored: Callable[[str], Path]
) -> None:
    other = datasets.context.new_page()
    line(SLOW)
    begin(datasets, large, "In two tabs")
    other.goto("/runs/")
    expect(box(other)).to_contain_text("kB/s")
    datasets.close()
    expect(box(other)).to_contain_text("the import has begun")
    assert stored(large.name).read_bytes() == large.read_bytes()


def test_what_the_browser_has_not_kept_is_chosen_again(
    datasets: Page, line: Line, large: Path, tmp_path: Path, stored: Callable[[str], Path]
) -> None:
    line(SLOW)
    begin(datasets, large, "Chosen again")
    expect(box(datasets)).to_contain_text("kB/s")
    datasets.evaluate("""() => new Promise((done) => {
      indexedDB.open("edgewise-uploads").onsuccess = ({ target: { result } }) => {
        const transaction = result.transaction("archives", "readwrite");
        transaction.objectStore("archives").clear();
        transaction.oncomplete = done;
      };
    })""")
    datasets.reload()
    line(0)
    expect(box(datasets)).to_contain_text(f"Choose {large.name} again")
    again = box(datasets).get_by_label("Choose again")
    again.set_input_files(tar(tmp_path / "other.tar", {"up/a.wav": NO_AUDIO}))
    expect(box(datasets)).to_contain_text("not what was being uploaded")
    again.set_input_files(large)
    expect(datasets.get_by_role("region", name="Chosen again")).to_be_visible()
    assert stored(large.name).read_bytes() == large.read_bytes()


def test_a_lost_connection_is_waited_for(datasets: Page, line: Line, large: Path, troubles: list[str]) -> None:
    line(SLOW)
    begin(datasets, large, "Reconnected")
    expect(box(datasets)).to_contain_text("kB/s")
    line(None)
    expect(box(datasets)).to_contain_text("The connection was lost")
    line(0)
    expect(datasets.get_by_role("region", name="Reconnected")).to_be_visible()
    assert [trouble for trouble in troubles if not OFFLINE.search(trouble)] == []
    troubles.clear()


def test_an_upload_is_discarded(datasets: Page, line: Line, large: Path) -> None:
    line(SLOW)
    begin(datasets, large, "Discarded")
    dialog = open_dialog(datasets)
    dialog.get_by_label("Archive or folder").set_input_files(large)
    dialog.get_by_label("Name").fill("Another name")
    dialog.get_by_role("button", name="Upload").click()
    expect(dialog.locator("#error-name")).to_contain_text("uploaded already, as “Discarded”")
    dialog.get_by_role("link", name="Close").click()
    box(datasets).get_by_role("button", name="Close").click()
    box(datasets).get_by_role("button", name="Keep").click()
    box(datasets).get_by_role("button", name="Close").click()
    with datasets.expect_response(lambda answer: answer.request.method == "DELETE"):
        box(datasets).get_by_role("button", name="Discard").click()
    expect(box(datasets)).to_be_hidden()
    line(0)
    datasets.reload()
    expect(box(datasets)).to_be_hidden()
    left = datasets.request.get("/api/v1/uploads").json()["results"]
    assert "Discarded" not in [upload["name"] for upload in left]


# --- what is refused --------------------------------------------------------------------------------------------------


def test_what_is_no_archive_is_told_before_it_is_sent(datasets: Page, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("Buy milk.")
    dialog = open_dialog(datasets)
    dialog.get_by_label("Archive or folder").set_input_files(tmp_path / "notes.txt")
    expect(dialog).to_contain_text("notes.txt is no archive. Choose a .zip, .tar or .tar.gz")
    dialog.get_by_role("button", name="Upload").click()
    expect(dialog).to_be_visible()


def test_nothing_chosen_and_a_name_that_is_taken(datasets: Page, tmp_path: Path) -> None:
    dialog = open_dialog(datasets)
    dialog.get_by_role("button", name="Upload").click()
    expect(dialog.locator("#error-file")).to_contain_text("Choose the archive or the folder")
    dialog.get_by_label("Name").fill("Kitchen words")
    for name in ("first.tar", "words.tar"):
        dialog.get_by_label("Archive or folder").set_input_files(tar(tmp_path / name, {"up/a.wav": NO_AUDIO}))
    expect(dialog.get_by_label("Name")).to_have_value("Kitchen words")
    dialog.get_by_role("button", name="Upload").click()
    expect(dialog.locator("#error-name")).to_contain_text("“Kitchen words” is taken")
    dialog.get_by_label("Name").fill("Other words")
    dialog.get_by_role("button", name="Upload").click()
    expect(datasets.get_by_role("region", name="Other words")).to_be_visible()
