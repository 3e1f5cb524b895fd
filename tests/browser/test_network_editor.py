"""The network's stages edited by mouse and keyboard, with their cost beside them, on desktop and phone."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.conftest import SignIn
from tests.browser.world import World


@pytest.fixture
def new_run(page: Page, world: World, sign_in: SignIn) -> Page:
    """The form of a new run with the stages of kws-small in view."""
    sign_in(page, world.reader, world.pages["new run"])
    page.get_by_text("Stages", exact=True).click()
    return page


@pytest.fixture
def editor(new_run: Page) -> Page:
    """The same while a copy of kws-small is edited."""
    new_run.get_by_role("button", name="Edit a copy of kws-small").click()
    expect(new_run.get_by_role("radio", name="Custom")).to_be_checked()
    return new_run


def stage(page: Page, number: int) -> Locator:
    return page.get_by_role("group", name=f"Stage {number}")


def parameters(page: Page) -> Locator:
    return page.locator("#preview dd").first


def test_a_network_is_edited_mended_and_trained(editor: Page) -> None:
    before = parameters(editor).inner_text()
    share = editor.locator("#cost-5").inner_text()
    stage(editor, 6).get_by_label("Units").fill("48")
    expect(parameters(editor)).not_to_have_text(before)
    expect(editor.locator("#cost-5")).not_to_have_text(share)
    editor.get_by_role("button", name="Add a stage").click()
    expect(stage(editor, 7).get_by_label("Kind")).to_be_focused()
    stage(editor, 7).get_by_label("Kind").select_option(label="Dense")
    expect(editor.get_by_text("The last stage must be an LMU")).to_be_visible()
    editor.get_by_label("Name").fill("My network")
    editor.get_by_role("button", name="Optimize").click()
    problem = editor.get_by_role("alert").get_by_role("link", name="Stage 7: The last stage must be an LMU")
    problem.click()
    expect(stage(editor, 7).get_by_label("Kind")).to_be_in_viewport()
    stage(editor, 7).get_by_role("button", name="Move up").click()
    expect(stage(editor, 6).get_by_label("Kind")).to_have_value("dense")
    expect(editor.locator("#stages .error:visible")).to_have_count(0)
    editor.get_by_role("button", name="Optimize").click()
    editor.wait_for_url("**/progress")
    editor.get_by_role("link", name="Configuration").click()
    kinds = editor.get_by_role("row", name=re.compile(r"^\d\. ")).locator("th")
    expect(kinds).to_have_text(["1. Dense", *(f"{number}. LMU" for number in range(2, 6)), "6. Dense", "7. LMU"])


def test_an_error_stands_in_its_stage_while_typing(editor: Page) -> None:
    units = stage(editor, 2).get_by_label("Units")
    units.fill("0")
    expect(stage(editor, 2).get_by_text("Units must be a whole number from 1 to 4,096")).to_be_visible()
    expect(units).to_have_attribute("aria-invalid", "true")
    expect(units).to_be_focused()
    units.fill("64")
    expect(stage(editor, 2).locator(".error:visible")).to_have_count(0)
    expect(editor.locator("#cost-1")).to_contain_text("remembers 240 ms")
    editor.locator("#field-window_stride_ms").fill("10")
    expect(editor.locator("#cost-1")).to_contain_text("remembers 120 ms")


def test_stages_move_by_keyboard(editor: Page) -> None:
    share = editor.locator("#cost-2").inner_text()
    stage(editor, 3).get_by_label("Units").fill("40")
    # A move would cut off the request for the cost, and Chromium logs that as an error.
    expect(editor.locator("#cost-2")).not_to_have_text(share)
    stage(editor, 3).get_by_role("button", name="Move up").focus()
    editor.keyboard.press("Enter")
    expect(stage(editor, 2).get_by_label("Units")).to_have_value("40")
    expect(stage(editor, 2).get_by_role("button", name="Move up")).to_be_focused()
    editor.keyboard.press("Enter")
    expect(stage(editor, 1).get_by_label("Units")).to_have_value("40")
    expect(stage(editor, 1).get_by_role("button", name="Move down")).to_be_focused()


def test_what_was_edited_outlives_a_look_at_another_network(editor: Page) -> None:
    stage(editor, 2).get_by_label("Units").fill("77")
    editor.get_by_role("radio", name="kws-large").check()
    expect(editor.get_by_role("button", name="Edit a copy of kws-large")).to_be_visible()
    editor.get_by_role("radio", name="Custom").check()
    expect(stage(editor, 2).get_by_label("Units")).to_have_value("77")


def test_initial_weights_say_whether_they_fit(editor: Page) -> None:
    weights = editor.get_by_label("Initial weights", exact=True)
    option = weights.locator("option", has_text="Run that is succeeded")
    expect(option).to_be_enabled()
    weights.select_option(option.get_attribute("value"))
    expect(editor.locator("#preview")).to_contain_text("Everything is kept.")
    stage(editor, 2).get_by_label("Order").fill("7")
    expect(editor.locator("#error-initial_weights")).to_contain_text("its network differs in stage 2")
    editor.get_by_label("Training steps", exact=True).fill("none")
    expect(editor.locator("#error-steps")).to_be_visible()
    expect(weights).to_have_value(option.get_attribute("value") or "")


def test_the_editor_fits_a_phone(browser: Browser, site: str, world: World, sign_in: SignIn) -> None:
    context = browser.new_context(base_url=site, viewport={"width": 360, "height": 740})
    page = context.new_page()
    sign_in(page, world.reader, world.pages["new run"])
    page.get_by_text("Stages", exact=True).click()
    page.get_by_role("button", name="Edit a copy of kws-small").click()
    expect(stage(page, 2).get_by_label("Residual")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    context.close()


def test_the_editor_works_without_scripts(browser: Browser, site: str, world: World, sign_in: SignIn) -> None:
    context = browser.new_context(base_url=site, java_script_enabled=False)
    page = context.new_page()
    sign_in(page, world.reader, world.pages["new run"])
    page.get_by_text("Stages", exact=True).click()
    page.get_by_role("button", name="Edit a copy of kws-small").click()
    page.get_by_role("button", name="Add a stage").click()
    stage(page, 7).get_by_label("Units").fill("24")
    page.get_by_label("Name").fill("Without scripts")
    page.get_by_label("Name").press("Enter")
    page.wait_for_url("**/progress")
    context.close()
