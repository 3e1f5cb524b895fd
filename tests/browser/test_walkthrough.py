"""The tutorial, click by click, on real workers: from raw audio to `artifact.zip`."""

from __future__ import annotations

import json
import math
import random
import struct
import tarfile
import wave
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import SignIn, page_of
from tests.browser.test_recording import MICROPHONE
from tests.browser.world import World

KEYWORDS = ["up", "down", "left", "right", "stop"]
WORDS = [*KEYWORDS, "yes", "no"]
DIGITS = ["zero", "one", "two", "three", "four", "five", "six"]
"""What stands in the places of WORDS where real recordings are at hand: there are none of those words themselves."""
RATE = 16000
CLIPS = 60
SPOKEN = ["up", "left", "stop", "down"]
TAKES = 4
"""Of each spoken word. After a minute of training a network may miss one voice, but not four."""
MINUTE = 60_000


@pytest.fixture
def clips(shared_audio: Path) -> dict[str, list[list[int]]]:
    """CLIPS + TAKES or more seconds of sound for each of WORDS: recorded digits in its place, or else chords."""
    chance, archive = random.Random(0), shared_audio / "spoken_words.tar.gz"
    if not archive.exists():
        return {word: [_chord(word, chance) for _ in range(CLIPS + TAKES)] for word in WORDS}
    recorded: dict[str, list[list[int]]] = {digit: [] for digit in DIGITS}
    with tarfile.open(archive) as file:
        for member in file:
            if (digit := Path(member.name).parent.name) in recorded:
                recorded[digit].append(_second_of(file.extractfile(member), chance))
    for found in recorded.values():
        chance.shuffle(found)  # or the last ones would all be of one speaker
    return dict(zip(WORDS, recorded.values(), strict=True))


@pytest.fixture
def speech_commands(clips: dict[str, list[list[int]]], tmp_path: Path) -> Path:
    """A folder in the layout of Speech Commands, with CLIPS of each word, each by a speaker of its own."""
    folder = tmp_path / "speech_commands"
    for word, sounds in clips.items():
        (folder / word).mkdir(parents=True)
        for number, sound in enumerate(sounds[:CLIPS]):
            _write(folder / word / f"{number:08x}_nohash_0.wav", sound)
    (folder / "_background_noise_").mkdir()
    _write(folder / "_background_noise_" / "hiss.wav", _sound(0, random.Random(2), seconds=5))
    return folder


@pytest.fixture
def recording(clips: dict[str, list[list[int]]], tmp_path: Path) -> Path:
    """Clips of `SPOKEN` that are not in `speech_commands`, each in its two seconds, `TAKES` of a word in a row."""
    chance, samples = random.Random(1), list[int]()
    for word in SPOKEN:
        for take in clips[word][CLIPS : CLIPS + TAKES]:
            samples += take + _sound(0, chance)
    _write(tmp_path / "words.wav", samples)
    return tmp_path / "words.wav"


def _second_of(content: Any, chance: random.Random) -> list[int]:
    """Read a short wav file, and let it end in a little noise."""
    with wave.open(content) as file:
        assert file.getframerate() == RATE
        heard = struct.unpack(f"<{file.getnframes()}h", file.readframes(file.getnframes()))
    return [*heard[:RATE], *_sound(0, chance)[len(heard) :]]


def _chord(word: str, chance: random.Random) -> list[int]:
    return _sound(_pitch(word) * chance.uniform(0.97, 1.03), chance)


def _pitch(word: str) -> float:
    """Half an octave apart: training plays clips up to 12 % faster and slower."""
    return 220.0 * 2 ** (WORDS.index(word) / 2)


def _sound(pitch: float, chance: random.Random, seconds: int = 1) -> list[int]:
    return [
        int(8000 * math.sin(2 * math.pi * pitch * n / RATE) * math.sin(math.pi * n / RATE))
        + chance.randrange(-300, 300)
        for n in range(seconds * RATE)
    ]


def _write(path: Path, samples: list[int]) -> None:
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes(struct.pack(f"<{len(samples)}h", *samples))


@pytest.mark.timeout(900)
def test_the_tutorial(
    page: Page,
    world: World,
    workers: None,
    sign_in: SignIn,
    speech_commands: Path,
    recording: Path,
    tmp_path: Path,
    launch: Callable[..., Browser],
    site: str,
    troubles: list[str],
) -> None:
    sign_in(page, world.operator)
    _import(page, speech_commands)
    _set_up_the_dataset(page)
    _hear_examples(page)
    _test_run(page)
    _full_run(page)
    _deploy(page, tmp_path / "artifact.zip")
    _try_a_recording(page, recording)
    with page_of(launch(*MICROPHONE, f"--use-file-for-fake-audio-capture={recording}"), site, troubles) as booth:
        sign_in(booth, world.operator, page.url)
        _try_the_microphone(booth)


def _import(page: Page, folder: Path) -> None:
    page.get_by_role("link", name="Import Speech Commands").click()
    page.get_by_label("Archive or folder").fill(str(folder))
    page.get_by_role("button", name="Import").click()
    heading = page.get_by_role("region", name="SpeechCommands v2")
    expect(heading.get_by_role("link", name="New dataset")).to_be_visible(timeout=2 * MINUTE)


def _set_up_the_dataset(page: Page) -> None:
    page.get_by_role("link", name="Datasets", exact=True).click()
    page.get_by_role("region", name="SpeechCommands v2").get_by_role("link", name="New dataset").click()
    page.get_by_label("Name").fill("Directions")
    page.get_by_label("Search keywords").fill("up, down, left, right, stop")
    page.get_by_label("Search keywords").press("Enter")
    expect(page.locator("#counts tbody th")).to_have_text(["<silence>", "<unknown>", *KEYWORDS])
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("row", name="Directions")).to_be_visible()


def _hear_examples(page: Page) -> None:
    page.get_by_role("link", name="Directions", exact=True).click()
    page.get_by_role("button", name="Hear ten examples").click()
    expect(page.locator("#heard audio")).to_have_count(10, timeout=2 * MINUTE)
    picture = page.get_by_role("img", name="Features of").first
    picture.scroll_into_view_if_needed()
    expect(picture).to_have_js_property("complete", True)
    assert picture.evaluate("one => [one.naturalWidth, one.naturalHeight]") == [49, 13]
    page.get_by_role("button", name="Play all").click()
    # It lasts for a second, which the growing pauses of `expect` may miss.
    page.wait_for_function("() => document.querySelectorAll('#heard li')[1].classList.contains('playing')")
    assert page.locator("#heard audio").first.evaluate("one => [one.duration, one.ended]") == [1, True]
    page.get_by_role("button", name="Another ten").click()
    expect(page.get_by_text("first examples of step 1")).to_be_visible(timeout=2 * MINUTE)


def _test_run(page: Page) -> None:
    page.get_by_role("link", name="Runs", exact=True).click()
    page.get_by_role("link", name="Create new project").first.click()
    page.get_by_label("Name").fill("Directions")
    page.get_by_role("button", name="Create").click()
    page.get_by_role("region", name="Directions").get_by_role("link", name="+KWS").click()
    page.get_by_label("Name").fill("Directions test 1")
    page.get_by_role("radio", name="kws-large").check()
    page.get_by_label("Training steps", exact=True).fill("200")
    page.get_by_label("Validation interval", exact=True).fill("50")
    page.get_by_role("button", name="Optimize").click()
    expect(page.get_by_role("heading", name="Directions test 1")).to_be_visible()
    # The page was opened before the first step: all that it shows at the end came live.
    expect(page.locator("#run-head .state")).to_have_text("Succeeded", timeout=5 * MINUTE)
    page.wait_for_function("() => document.getElementById('curves').data[3].x.at(-1) === 200")
    page.get_by_role("link", name="Results").click()
    expect(page.get_by_text("Balanced accuracy")).to_be_visible()
    page.locator("#matrix .main-svg").first.wait_for()


def _full_run(page: Page) -> None:
    page.get_by_role("link", name="Runs", exact=True).first.click()
    page.get_by_role("region", name="Directions").get_by_role("link", name="+KWS").click()
    page.get_by_label("Name").fill("Directions full 1")
    page.get_by_role("radio", name="kws-large").check()
    weights = page.get_by_label("Initial weights", exact=True)
    value = weights.locator("option", has_text="Directions test 1").get_attribute("value")
    weights.select_option(value)
    page.get_by_label("Training steps", exact=True).fill("600")
    page.get_by_label("Validation interval", exact=True).fill("100")
    page.get_by_role("button", name="Optimize").click()
    expect(page.locator("#run-head .state")).to_have_text("Succeeded", timeout=5 * MINUTE)
    expect(page.get_by_text("Directions test 1 ended at")).to_be_visible()


def _deploy(page: Page, path: Path) -> None:
    page.get_by_role("link", name="Runs", exact=True).first.click()
    page.get_by_role("link", name="Deploy Directions full 1").click()
    expect(page.get_by_role("heading", name="Download model")).to_be_visible()
    page.get_by_label("Format").select_option(label="Binary")
    with page.expect_download(timeout=5 * MINUTE) as download:
        page.get_by_role("button", name="Download", exact=True).click()
    assert download.value.suggested_filename == "artifact.zip"
    download.value.save_as(path)
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        names = set(archive.namelist())
        parameters = json.loads(archive.read("parameters.json"))
    assert {"saved_model.pb", "model.tflite", "feature_extractor.tflite", "labels.txt", "README.md"} <= names
    assert parameters["labels"] == ["<silence>", "<unknown>", *KEYWORDS]


def _try_a_recording(page: Page, recording: Path) -> None:
    page.get_by_role("link", name="Try it").click()
    page.get_by_role("button", name="Prepare").click()
    page.get_by_label("Or drop a recording").set_input_files(recording, timeout=5 * MINUTE)
    expect(page.get_by_text(f"detections in 0:{2 * TAKES * len(SPOKEN):02}.0")).to_be_visible()
    found = page.locator("[data-detections] li")
    # The time at which it is detected, and the word: 0:01.2 up
    detected = [(float(item[2:6]), item[6:].strip()) for item in found.all_text_contents()]
    for index, word in enumerate(SPOKEN):
        begin, end = 2 * TAKES * index, 2 * TAKES * (index + 1)
        assert any(begin < time < end for time, what in detected if what == word), (word, detected)
    page.get_by_role("slider", name="Threshold").fill("0.05")
    expect(found).not_to_have_count(len(detected))
    page.get_by_role("button", name="Go back to it").click()
    expect(found).to_have_count(len(detected))
    page.get_by_role("button", name=f"Play {detected[1][1]}").first.click()
    expect(page.locator("[data-player]")).to_have_js_property("paused", False)


def _try_the_microphone(page: Page) -> None:
    page.get_by_role("button", name="Listen").click()
    for word in SPOKEN:
        expect(page.locator("[data-detections]")).to_contain_text(word, timeout=MINUTE)
    expect(page.get_by_text("% of one core")).to_be_visible()
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_text("Stopped.")).to_be_visible()
