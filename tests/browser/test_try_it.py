"""The Try it page where something is missing. How it works is part of the tutorial: `test_walkthrough.py`."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import SignIn, page_of
from tests.browser.world import World

ASKED = "() => { window.asked += 1; return new Promise(() => {}); }"


def open_page(page: Page, world: World, sign_in: SignIn) -> None:
    sign_in(page, world.reader, world.pages["try"])


def test_without_permission_the_page_says_what_to_do(
    launch: Callable[..., Browser], site: str, world: World, sign_in: SignIn, troubles: list[str]
) -> None:
    with page_of(launch("--use-fake-device-for-media-stream", "--deny-permission-prompts"), site, troubles) as page:
        open_page(page, world, sign_in)
        page.get_by_role("button", name="Listen").click()
        expect(page.get_by_role("alert")).to_contain_text("Allow it by the icon beside the address")
        expect(page.get_by_role("button", name="Listen")).to_be_visible()


def test_without_a_microphone_the_page_says_so(page: Page, world: World, sign_in: SignIn) -> None:
    page.context.grant_permissions(["microphone"])
    open_page(page, world, sign_in)
    page.get_by_role("button", name="Listen").click()
    expect(page.get_by_role("alert")).to_contain_text("No microphone was found")


def test_the_microphone_is_asked_for_once(page: Page, world: World, sign_in: SignIn) -> None:
    page.add_init_script(f"window.asked = 0; navigator.mediaDevices.getUserMedia = {ASKED}")
    open_page(page, world, sign_in)
    page.get_by_role("button", name="Listen").dblclick()
    assert page.evaluate("window.asked") == 1


def test_without_https_the_microphone_alone_is_missing(page: Page, world: World, sign_in: SignIn) -> None:
    page.add_init_script("Object.defineProperty(window, 'isSecureContext', {value: false})")
    open_page(page, world, sign_in)
    expect(page.get_by_role("alert")).to_contain_text("https or localhost")
    expect(page.get_by_label("Or drop a recording")).to_be_enabled()


def test_without_webassembly_the_page_says_what_is_needed(page: Page, world: World, sign_in: SignIn) -> None:
    page.add_init_script("delete window.WebAssembly")
    open_page(page, world, sign_in)
    expect(page.get_by_role("alert")).to_contain_text("no WebAssembly")
    expect(page.get_by_role("button", name="Listen")).to_be_disabled()


def test_what_is_no_sound_is_refused(page: Page, world: World, sign_in: SignIn) -> None:
    open_page(page, world, sign_in)
    notes = {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"milk, tea"}
    page.get_by_label("Or drop a recording").set_input_files(notes)
    expect(page.get_by_role("alert")).to_contain_text("notes.txt is no sound that this browser can read")
