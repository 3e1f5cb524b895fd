"""Forms by keyboard and mouse: tooltips, bounds, errors beside their field, defaults that can be had back."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import SignIn
from tests.browser.world import World


@pytest.fixture
def new_run(page: Page, world: World, sign_in: SignIn) -> Page:
    """The form of a new run."""
    sign_in(page, world.reader, world.pages["new run"])
    return page


@pytest.fixture
def new_dataset(page: Page, world: World, sign_in: SignIn) -> Page:
    """The dialog of a new dataset, opened by the keyboard alone."""
    sign_in(page, world.reader)
    page.get_by_role("region", name="Kitchen words").get_by_role("link", name="New dataset").focus()
    page.keyboard.press("Enter")
    page.get_by_role("dialog").wait_for()
    return page


def test_a_tooltip_comes_on_hover_and_on_focus(new_run: Page) -> None:
    tooltip = new_run.get_by_role("tooltip")
    new_run.get_by_text("Batch size", exact=True).hover()
    expect(tooltip).to_contain_text("Clips per step")
    new_run.get_by_role("heading", level=1).hover()
    expect(tooltip).to_be_hidden()
    new_run.get_by_label("Training steps", exact=True).focus()
    new_run.keyboard.press("Tab")
    expect(tooltip).to_contain_text("Steps between two measurements")
    new_run.keyboard.press("Escape")
    expect(tooltip).to_be_hidden()


def test_an_error_stands_beside_its_field_while_typing(new_run: Page) -> None:
    steps = new_run.get_by_label("Training steps", exact=True)
    steps.fill("0")
    expect(new_run.locator("#error-steps")).to_contain_text("from 1 to 1,000,000")
    expect(steps).to_have_attribute("aria-invalid", "true")
    steps.fill("1000000000")
    expect(new_run.locator("#error-steps")).to_contain_text("from 1 to 1,000,000")
    steps.fill("2000")
    expect(new_run.locator("#error-steps")).to_be_hidden()


def test_a_default_can_be_had_back(new_run: Page) -> None:
    steps = new_run.get_by_label("Training steps", exact=True)
    reset = new_run.get_by_role("button", name="Reset Training steps to 20000")
    expect(reset).to_be_hidden()
    steps.fill("300")
    reset.click()
    expect(steps).to_have_value("20000")
    expect(reset).to_be_hidden()


def test_the_cost_follows_the_network(new_run: Page) -> None:
    preview = new_run.locator("#preview")
    small = preview.inner_text()
    new_run.get_by_role("radio", name="kws-large").check()
    expect(preview).not_to_have_text(small)
    expect(preview).to_contain_text("Parameters")


def test_a_refused_run_keeps_what_was_typed(new_run: Page) -> None:
    new_run.get_by_label("Training steps", exact=True).fill("many")
    new_run.get_by_role("button", name="Optimize").click()
    expect(new_run.get_by_role("alert")).to_contain_text("Please mend")
    expect(new_run.get_by_label("Training steps", exact=True)).to_have_value("many")
    new_run.get_by_role("alert").get_by_role("link").last.click()
    expect(new_run.get_by_label("Training steps", exact=True)).to_be_in_viewport()


def test_keywords_keep_the_order_in_which_they_were_chosen(new_dataset: Page) -> None:
    search = new_dataset.get_by_label("Search keywords")
    search.fill("stop, up")
    search.press("Enter")
    new_dataset.get_by_role("checkbox", name="left").check()
    bars = new_dataset.locator("#counts tbody th")
    expect(bars).to_have_text(["<silence>", "<unknown>", "stop", "up", "left"])
    new_dataset.get_by_role("button", name="Remove up").click()
    expect(bars).to_have_text(["<silence>", "<unknown>", "stop", "left"])
    expect(new_dataset.get_by_role("checkbox", name="up")).not_to_be_checked()


def test_a_typed_word_that_is_not_there_is_said_and_kept(new_dataset: Page) -> None:
    search = new_dataset.get_by_label("Search keywords")
    search.fill("Stop, banana, up")
    search.press("Enter")
    expect(new_dataset.locator("#counts tbody th")).to_have_text(["<silence>", "<unknown>", "stop", "up"])
    expect(new_dataset.get_by_text("Not a word of this data: banana.")).to_be_visible()
    expect(search).to_have_value("banana")


def test_a_chosen_word_that_is_searched_for_stays_chosen(new_dataset: Page) -> None:
    new_dataset.get_by_role("checkbox", name="stop").check()
    search = new_dataset.get_by_label("Search keywords")
    search.fill("stop")
    search.press("Tab")
    expect(new_dataset.get_by_role("checkbox", name="stop")).to_be_checked()


def test_a_custom_network_shows_its_stages(new_run: Page) -> None:
    new_run.get_by_role("radio", name="Custom").check()
    expect(new_run.get_by_role("button", name="Add a stage")).to_be_visible()
    expect(new_run.locator("#stages")).to_be_in_viewport()


def test_the_search_narrows_what_is_selected(new_dataset: Page) -> None:
    new_dataset.get_by_label("Search keywords").fill("o")
    new_dataset.get_by_role("button", name="Select all shown").click()
    bars = new_dataset.locator("#counts tbody th")
    expect(bars).to_have_text(["<silence>", "<unknown>", "down", "go", "no", "stop"])


def test_a_dataset_without_keywords_is_refused_in_its_dialog(new_dataset: Page) -> None:
    new_dataset.get_by_label("Name").fill("Without words")
    new_dataset.get_by_role("button", name="Create").click()
    expect(new_dataset.get_by_role("alert")).to_contain_text("eywords")
    expect(new_dataset.get_by_label("Name")).to_have_value("Without words")
    new_dataset.keyboard.press("Escape")
    expect(new_dataset.get_by_role("dialog")).to_be_hidden()


def test_a_dialog_that_is_a_page_of_its_own_is_left_by_its_link(page: Page, world: World, sign_in: SignIn) -> None:
    sign_in(page, world.reader)
    page.goto(f"{world.pages['dataset']}rename")
    page.get_by_role("link", name="Close").click()
    expect(page).to_have_url(re.compile("/datasets/$"))


def test_deleting_asks_once_and_names_what_stands_in_the_way(page: Page, world: World, sign_in: SignIn) -> None:
    sign_in(page, world.reader)
    page.get_by_role("button", name="More for Timer words").click()
    page.locator(".menu:popover-open").get_by_role("link", name="Delete …").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Delete").click()
    expect(dialog.get_by_role("alert")).to_contain_text("Run that is")
    dialog.get_by_role("link", name="Keep it").click()
    expect(page.get_by_role("row", name="Timer words")).to_be_visible()


def test_an_archive_that_is_damaged_fails_with_reason_and_remedy(
    page: Page, world: World, workers: None, sign_in: SignIn
) -> None:
    sign_in(page, world.reader)
    page.get_by_role("link", name="Upload new data").click()
    page.get_by_label("Name").fill("No archive")
    damaged = {"name": "words.zip", "mimeType": "application/zip", "buffer": b"PK\x03\x04 and nothing else"}
    page.get_by_label("Archive or folder").set_input_files(damaged)
    page.get_by_role("button", name="Upload").click()
    heading = page.get_by_role("region", name="No archive")
    expect(heading.get_by_text("The import failed.")).to_be_visible(timeout=60_000)
    expect(heading).to_contain_text("words.zip")
