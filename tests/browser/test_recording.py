"""Recording with a microphone that plays a file: what is heard is what is stored."""

from __future__ import annotations

import io
import wave
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soxr
from playwright.sync_api import Browser, Page, Route, expect
from scipy.signal import correlate

from tests.browser.conftest import SignIn, page_of
from tests.browser.world import World
from workers.engine.speech import EspeakSynthesizer, Voice

Sound = npt.NDArray[np.float64]
RATE = 48000
PATIENCE = 30_000
"""Words take their time: the microphone hears one every few seconds."""
MICROPHONE = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")


def spoken(word: str, gain: float = 0.5) -> Sound:
    """A word at `RATE`, its largest sample at `gain`."""
    samples, rate = EspeakSynthesizer().speak(word, Voice("en-us", "american", "men"), words_per_minute=150, pitch=50)
    sound = soxr.resample(samples.astype(float), rate, RATE)
    return np.asarray(gain * sound / np.abs(sound).max())


def room(seconds: float) -> Sound:
    """A quiet room."""
    return 1e-3 * np.random.default_rng(0).standard_normal(int(seconds * RATE))


def in_a_room(word: Sound) -> Sound:
    """A word with a second of quiet before and after it."""
    quiet = room(2 + len(word) / RATE)
    quiet[RATE : RATE + len(word)] += word
    return quiet


def write(path: Path, sound: Sound) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes(np.rint(np.clip(sound, -1, 1) * 32767).astype("<i2").tobytes())
    return path


@pytest.fixture(scope="module")
def word() -> Sound:
    return spoken("stop")


@pytest.fixture(scope="module")
def browser_that_hears(
    launch: Callable[..., Browser], word: Sound, tmp_path_factory: pytest.TempPathFactory
) -> Browser:
    """Chromium whose microphone hears the word again and again."""
    path = write(tmp_path_factory.mktemp("microphone") / "word.wav", in_a_room(word))
    return launch(*MICROPHONE, f"--use-file-for-fake-audio-capture={path}")


@pytest.fixture
def booth(browser_that_hears: Browser, site: str, world: World, sign_in: SignIn, troubles: list[str]) -> Iterator[Page]:
    with page_of(browser_that_hears, site, troubles) as page:
        sign_in(page, world.reader)
        yield page


def begin(page: Page, name: str, words: str) -> None:
    page.get_by_role("link", name="Record", exact=True).first.click()
    page.get_by_label("Name").fill(name)
    page.get_by_label("Words", exact=True).fill(words)
    page.get_by_role("button", name="Begin").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Record {name}")


def take_one(page: Page) -> None:
    """Record by the keyboard, and wait for the cut."""
    expect(page.get_by_role("button", name="Record")).to_be_enabled()
    page.get_by_role("heading", level=1).click()
    page.keyboard.press("Space")
    expect(page.get_by_role("button", name="Keep")).to_be_visible(timeout=PATIENCE)


def takes(page: Page) -> list[str]:
    return [str(row.get_attribute("data-take")) for row in page.locator("[data-takes] tbody tr").all()]


def sound_at(page: Page, address: str) -> tuple[Sound, int]:
    with wave.open(io.BytesIO(page.request.get(address).body())) as file:
        assert (file.getnchannels(), file.getsampwidth()) == (1, 2)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768, file.getframerate()


def likeness(take: Sound, rate: int, word: Sound) -> float:
    """Correlation of the word with the part of the take that is most like it."""
    word = np.asarray(soxr.resample(word, RATE, rate))
    product = correlate(take, word, mode="valid")
    energy = correlate(take**2, np.ones(len(word)), mode="valid")
    return float(np.max(product / np.sqrt(energy * np.sum(word**2) + 1e-12)))


def test_words_are_recorded_kept_and_made_into_a_dataset(booth: Page, workers: None, word: Sound) -> None:
    page = booth
    begin(page, "Mine", "stop, Light on")
    page.get_by_label("Who speaks").fill("Rita")
    take_one(page)
    page.keyboard.press("r")
    expect(page.get_by_text("Say it now.")).to_be_visible()
    expect(page.get_by_role("button", name="Keep")).to_be_visible(timeout=PATIENCE)
    assert takes(page) == [], "what was taken again is not kept"
    page.keyboard.press("Enter")
    expect(page.locator("[data-takes] tbody tr")).to_have_count(1)
    expect(page.get_by_text("1 of 50")).to_be_visible()
    address = str(page.locator("[data-takes] audio").get_attribute("src"))
    take, rate = sound_at(page, address)
    assert len(take) == rate, "one second, as the clip duration says"
    assert likeness(take, rate, word) > 0.99
    middle = np.sum(np.arange(len(take)) * take**2) / np.sum(take**2) / len(take)
    assert middle == pytest.approx(0.5, abs=0.15)

    # The page listens for the next one by itself.
    expect(page.get_by_role("button", name="Keep")).to_be_visible(timeout=PATIENCE)
    page.keyboard.press("Enter")
    expect(page.locator("[data-takes] tbody tr")).to_have_count(2)
    first, second = takes(page)
    page.reload()
    assert takes(page) == [first, second], "nothing is lost with the page"
    expect(page.get_by_label("Who speaks")).to_have_value("Rita", timeout=PATIENCE)
    page.get_by_role("button", name="Delete this take").first.click()
    expect(page.locator("[data-takes] tbody tr")).to_have_count(1)
    expect(page.get_by_text("1 of 50")).to_be_visible()

    page.get_by_role("radio", name="light_on").check()
    take_one(page)
    page.keyboard.press("Enter")
    expect(page.locator("[data-takes] tbody tr")).to_have_count(2)
    page.get_by_role("button", name="Done").click()
    heading = page.get_by_role("region", name="Mine")
    heading.get_by_role("link", name="New dataset").click(timeout=60_000)
    page.get_by_role("dialog").get_by_label("Name").fill("My words")
    page.get_by_role("checkbox", name="stop").check()
    page.get_by_role("button", name="Create").click()
    expect(heading.get_by_role("row", name="My words")).to_be_visible()


def test_what_is_typed_before_the_page_can_record_stays(booth: Page) -> None:
    page = booth
    begin(page, "Quick", "stop")
    waiting: list[Route] = []
    page.route("**/clip-recorder*.js", lambda route: waiting.append(route))
    page.reload(wait_until="commit")
    expect(page.get_by_role("button", name="Record")).to_be_disabled()
    page.get_by_label("Who speaks").fill("Quick Quin")
    waiting[0].continue_()
    expect(page.get_by_role("button", name="Record")).to_be_enabled()
    expect(page.get_by_label("Who speaks")).to_have_value("Quick Quin")


def test_it_goes_on_by_itself_until_there_is_enough(booth: Page) -> None:
    page = booth
    page.get_by_role("link", name="Record", exact=True).first.click()
    page.get_by_label("Name").fill("By itself")
    page.get_by_label("Words", exact=True).fill("stop, go")
    page.get_by_label("Clips per word", exact=True).fill("1")
    page.get_by_role("button", name="Begin").click()
    page.get_by_role("checkbox", name="Go on by itself").check()
    page.get_by_role("button", name="Record").click()
    expect(page.get_by_text("All words have enough clips")).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_text("1 of 1")).to_have_count(2)


def test_a_server_that_is_away_costs_no_take(booth: Page, troubles: list[str]) -> None:
    page = booth
    begin(page, "Offline", "stop")
    take_one(page)
    page.context.set_offline(True)
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("The server cannot be reached")
    page.context.set_offline(False)
    expect(page.locator("[data-takes] tbody tr")).to_have_count(1)
    expect(page.get_by_role("alert")).to_be_hidden()
    assert all("ERR_INTERNET_DISCONNECTED" in trouble for trouble in troubles)
    troubles.clear()


def test_a_take_that_is_refused_stays_to_be_tried_again(booth: Page) -> None:
    page = booth
    begin(page, "Refused", "stop")
    page.get_by_label("Who speaks").fill("Ada/Grace")
    take_one(page)
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("was not stored")
    expect(page.get_by_text("0 of 50")).to_be_visible()
    page.get_by_label("Who speaks").fill("Ada")
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_text("1 of 50")).to_be_visible()
    expect(page.locator("[data-takes] tbody audio[src^='/api/']")).to_have_count(1)
    expect(page.get_by_role("button", name="Try again")).to_have_count(0)


def test_without_permission_the_page_says_what_to_do(
    launch: Callable[..., Browser], site: str, world: World, sign_in: SignIn, troubles: list[str]
) -> None:
    with page_of(launch("--use-fake-device-for-media-stream", "--deny-permission-prompts"), site, troubles) as page:
        sign_in(page, world.reader, world.pages["record"])
        page.get_by_role("button", name="Record").click()
        expect(page.get_by_role("alert")).to_contain_text("Allow it by the icon beside the address")


def test_without_https_the_page_says_why_it_cannot_record(page: Page, world: World, sign_in: SignIn) -> None:
    page.add_init_script("Object.defineProperty(window, 'isSecureContext', {value: false})")
    sign_in(page, world.reader, world.pages["record"])
    expect(page.get_by_role("alert")).to_contain_text("https or localhost")


FIND = """async ([address, samples, rate, seconds]) => {
  const { WordFinder, warnings } = await import(address);
  const finder = new WordFinder(rate, seconds);
  finder.listen();
  for (let start = 0; start < samples.length; start += 1024) {
    const take = finder.push(Float32Array.from(samples.slice(start, start + 1024)));
    if (take) return { samples: [...take.samples], warnings: warnings(take) };
  }
  return null;
}"""


@pytest.fixture
def find(page: Page, world: World, sign_in: SignIn) -> Callable[..., tuple[Sound, str] | None]:
    """The cut and the warnings for any sound, at an eighth of the rate to be quick."""
    sign_in(page, world.reader, world.pages["record"])
    module = page.evaluate("performance.getEntriesByType('resource').map((one) => one.name)")
    address = next(name for name in module if "/js/word-finder." in name)

    def find(sound: Sound, seconds: float = 1.0) -> tuple[Sound, str] | None:
        low = np.asarray(soxr.resample(sound, RATE, RATE // 6))
        found = page.evaluate(FIND, [address, np.round(low, 6).tolist(), RATE // 6, seconds])
        return (np.array(found["samples"]), " ".join(found["warnings"])) if found else None

    return find


Find = Callable[..., tuple[Sound, str] | None]


def test_a_good_take_has_no_warnings(find: Find, word: Sound) -> None:
    found = find(in_a_room(word))
    assert found is not None
    assert found[1] == ""


def test_faults_are_told_of(find: Find, word: Sound) -> None:
    time = np.arange(len(in_a_room(word))) / RATE
    hum = 0.01 * (np.sin(2 * np.pi * 50 * time) + 0.5 * np.sin(2 * np.pi * 150 * time))
    hiss = 0.05 * np.random.default_rng(1).standard_normal(len(time))
    faults = {
        "clipped": np.clip(8 * in_a_room(word), -1, 1),
        "very quiet": 0.04 * in_a_room(word),
        "mains hum": in_a_room(word) + hum,
        "background is loud": in_a_room(word) + hiss,
    }
    for fault, sound in faults.items():
        found = find(sound)
        assert found is not None, fault
        assert fault in found[1], fault
    found = find(in_a_room(word), 0.25)
    assert found is not None
    assert "longer than the clip" in found[1]


def test_a_click_and_a_quiet_room_are_no_words(find: Find) -> None:
    click = room(3)
    click[RATE : RATE + RATE // 50] += 0.5
    assert find(click) is None
    assert find(room(3)) is None
