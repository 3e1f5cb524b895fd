"""The explorer as a person uses it: listen, relabel, undo; by mouse and by keyboard."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.browser.conftest import SignIn
from tests.browser.world import World

PLAYED = (
    "document.addEventListener('play', (event) => { window.played = event.target.getAttribute('aria-label'); }, true);"
)

PLACE_OF_THE_MIDDLE = """() => {
  const { xaxis, yaxis } = document.getElementById("map")._fullLayout;
  return { x: xaxis._offset + xaxis.l2p(1), y: yaxis._offset + yaxis.l2p(1) };
}"""


def test_a_clip_is_heard_relabelled_and_the_edit_undone(page: Page, world: World, sign_in: SignIn) -> None:
    sign_in(page, world.reader, world.pages["clips"])
    row = page.get_by_role("row").filter(has_text="up/0b.wav")
    expect(row.get_by_role("img", name="Waveform")).to_be_visible()
    expect(row.get_by_role("img", name="Spectrogram")).to_be_visible()
    page.evaluate(PLAYED)
    row.get_by_role("button", name="Play up/0b.wav").click()
    page.wait_for_function("() => window.played === 'up/0b.wav'")

    row.get_by_role("checkbox").check()
    expect(page.get_by_text("1 selected")).to_be_visible()
    page.get_by_label("Another label").fill("upwards")
    page.get_by_role("button", name="Relabel").click()
    expect(page.get_by_text("1 clip relabelled “upwards”")).to_be_visible()
    expect(row).to_contain_text("was up")

    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("was up")).to_have_count(0)
    expect(row).to_be_visible()
    page.get_by_role("link", name="Edits").click()
    expect(page.get_by_text("An edit of 1 clip undone")).to_be_visible()
    expect(page.get_by_text("undone by edit")).to_be_visible()


def test_the_keyboard_plays_selects_and_goes_on(page: Page, world: World, sign_in: SignIn) -> None:
    sign_in(page, world.reader, world.pages["clips"])
    rows = page.locator("[data-clip]")
    rows.first.focus()
    page.evaluate(PLAYED)
    page.keyboard.press("j")
    expect(rows.nth(1)).to_be_focused()
    page.keyboard.press("k")
    expect(rows.first).to_be_focused()
    page.keyboard.press("Space")
    page.wait_for_function("() => window.played")
    page.keyboard.press("x")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("x")
    expect(page.get_by_text("2 selected")).to_be_visible()


def test_a_clip_that_is_stopped_before_its_sound_came_is_no_trouble(page: Page, world: World, sign_in: SignIn) -> None:
    sign_in(page, world.reader, world.pages["clips"])
    page.route("**/audio", lambda route: None)  # never answered
    player = page.get_by_role("row").filter(has_text="up/0b.wav").locator("button.play")
    player.click()
    expect(player).to_have_attribute("aria-label", "Stop up/0b.wav")
    player.click()
    expect(player).to_have_attribute("aria-label", "Play up/0b.wav")
    expect(page.get_by_role("alert")).to_have_count(0)
    page.unroute_all(behavior="ignoreErrors")


def test_a_clip_that_cannot_be_heard_is_told(page: Page, world: World, sign_in: SignIn) -> None:
    sign_in(page, world.reader, world.pages["clips"])
    page.route("**/audio", lambda route: route.fulfill(status=404))
    player, told = page.get_by_role("button", name="Play up/0b.wav"), page.get_by_role("alert")
    player.click()
    expect(told).to_contain_text("“up/0b.wav” cannot be played")
    expect(player).to_be_visible()
    told.evaluate("notice => { notice.id = 'first'; }")
    player.click()
    expect(page.locator("#first")).to_have_count(0)
    expect(told).to_have_count(1)


def test_shift_selects_all_between(page: Page, world: World, sign_in: SignIn) -> None:
    sign_in(page, world.reader, world.pages["clips"])
    boxes = page.locator("[name=clip]")
    boxes.first.click()
    boxes.nth(3).click(modifiers=["Shift"])
    expect(page.get_by_text("4 selected")).to_be_visible()
    boxes.nth(1).click()
    expect(page.get_by_text("3 selected")).to_be_visible()


def test_the_filter_narrows_the_list_as_it_is_typed(page: Page, world: World, sign_in: SignIn) -> None:
    sign_in(page, world.reader, world.pages["clips"])
    page.get_by_label("Name or speaker").fill("0b")
    expect(page.locator("[data-clip]")).to_have_count(1)
    expect(page).to_have_url(re.compile(r"/clips\?search=0b"))
    page.get_by_role("link", name="Show all clips").click()
    expect(page.locator("[data-clip]")).to_have_count(5)


def test_a_clip_is_chosen_on_the_map_and_relabelled_below_it(page: Page, world: World, sign_in: SignIn) -> None:
    sign_in(page, world.reader, world.pages["map"])
    page.locator("#map .main-svg").first.wait_for()
    page.evaluate(PLAYED)
    page.locator("#map").click(position=page.evaluate(PLACE_OF_THE_MIDDLE))
    picked = page.locator("#picked")
    expect(picked.get_by_role("heading", name="up/0b.wav")).to_be_visible()
    expect(picked).to_contain_text("Labelled up, among clips of yes")
    page.wait_for_function("() => window.played === 'up/0b.wav'")
    expect(picked.get_by_role("link", name="Relabel or exclude")).to_have_attribute(
        "href", re.compile(r"search=up%2F0b")
    )

    expect(page.get_by_role("heading", name="1 clip to listen to")).to_be_visible()
    page.get_by_role("button", name="Relabel “yes”").click()
    expect(page.get_by_text("1 clip relabelled “yes”")).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("button", name="Relabel “yes”")).to_be_visible()
