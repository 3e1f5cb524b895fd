"""Each page: no complaint in the console, no sideways scrolling on a phone, every control named, one policy for all."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, Response, expect

from tests.browser.conftest import SignIn
from tests.browser.world import PAGES, World

BUDGET_BYTES = 60_000
CHARTS = ("map", "progress", "progress before the first step", "results")

UNNAMED = """() => [...document.querySelectorAll('button, a, input:not([type=hidden]), select, textarea')]
  .filter((one) => one.checkVisibility())
  .filter((one) => !(one.labels?.length || one.ariaLabel || one.textContent.trim() || one.title))
  .map((one) => one.outerHTML)"""
TWINS = """() => {
  const ids = [...document.querySelectorAll('[id]')].map((one) => one.id);
  return ids.filter((id, index) => ids.indexOf(id) !== index);
}"""
SIDEWAYS = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_sound(page: Page, world: World, sign_in: SignIn, name: str) -> None:
    sign_in(page, world.reader, world.pages[name])
    _check(page, name)
    page.set_viewport_size({"width": 360, "height": 800})
    page.reload()
    _check(page, name)


def _check(page: Page, name: str) -> None:
    if name in CHARTS:
        page.locator("plotly-chart .main-svg").first.wait_for()
    assert page.evaluate(SIDEWAYS) <= 0
    assert page.evaluate(UNNAMED) == []
    assert page.evaluate(TWINS) == []
    expect(page.get_by_role("heading", level=1)).to_have_count(1)


@pytest.mark.parametrize("name", [name for name in PAGES if name not in CHARTS])
def test_a_page_is_small(page: Page, world: World, sign_in: SignIn, name: str) -> None:
    devtools = page.context.new_cdp_session(page)
    devtools.send("Network.enable")
    devtools.send("Network.setCacheDisabled", {"cacheDisabled": True})
    sizes: list[float] = []
    devtools.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
    sign_in(page, world.reader, world.pages[name])
    assert 0 < sum(sizes) < BUDGET_BYTES


def test_everything_comes_from_this_host_under_one_policy(page: Page, world: World, sign_in: SignIn, site: str) -> None:
    answers: list[Response] = []
    page.on("response", lambda answer: answers.append(answer))
    sign_in(page, world.reader, world.pages["datasets"])
    for name in ("new run", "results"):
        page.goto(world.pages[name])
    assert [answer.url for answer in answers if not answer.url.startswith((site, "blob:", "data:"))] == []
    pages = [answer for answer in answers if answer.request.resource_type == "document" and answer.status == 200]
    assert pages
    for answer in pages:
        policy = answer.headers["content-security-policy"]
        assert "script-src 'self';" in policy
        assert "default-src 'self';" in policy


def test_signing_up_leads_to_the_datasets(page: Page) -> None:
    page.goto("/")
    page.get_by_role("link", name="Sign up").click()
    page.get_by_label("Email").fill("somebody@example.org")
    page.get_by_label("Password").fill("a long and new password")
    page.get_by_role("button", name="Sign up").click()
    expect(page.get_by_role("heading", name="Datasets", level=1)).to_be_visible()


def test_a_page_that_back_brings_again_follows_its_jobs_again(page: Page, world: World, sign_in: SignIn) -> None:
    with page.expect_request("**/api/v1/events*"):
        sign_in(page, world.reader)
    with page.expect_request("**/api/v1/events*"):
        page.evaluate("['pagehide', 'pageshow'].forEach((name) => dispatchEvent(new PageTransitionEvent(name)))")


def test_what_is_copied_from_a_page_of_plain_http_is_selected(page: Page, world: World, sign_in: SignIn) -> None:
    page.add_init_script("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    sign_in(page, world.reader)
    page.goto(world.pages["deploy"])
    page.get_by_role("button", name="Copy").first.click()
    expect(page.get_by_role("button", name="Press Ctrl+C")).to_be_visible()
    assert "pip install" in page.evaluate("String(getSelection())")


def test_an_empty_workspace_teaches_the_next_step(page: Page, world: World, sign_in: SignIn) -> None:
    sign_in(page, world.newcomer)
    expect(page.get_by_role("link", name="Try it with synthetic speech")).to_be_visible()
    page.get_by_role("link", name="Runs", exact=True).click()
    expect(page.get_by_role("link", name="Create new project").first).to_be_visible()


def test_other_peoples_rows_do_not_exist(page: Page, world: World, sign_in: SignIn) -> None:
    sign_in(page, world.newcomer)
    for address in (f"/runs/{world.finished}/results", f"/datasets/raw/{world.raw_data}/"):
        answer = page.goto(address)
        assert answer is not None
        assert answer.status == 404
        expect(page.get_by_role("heading", level=1)).to_contain_text("There is no such")


def test_operators_see_the_status_and_others_do_not(page: Page, world: World, sign_in: SignIn) -> None:
    sign_in(page, world.operator, "/status/")
    expect(page.get_by_role("heading", name="Queues")).to_be_visible()
    page.context.clear_cookies()
    answer = sign_in(page, world.reader, "/status/")
    assert answer is not None
    assert answer.status == 403


def test_the_theme_can_be_switched_and_stays(page: Page, world: World, sign_in: SignIn) -> None:
    sign_in(page, world.reader)
    page.get_by_role("button", name="Account").click()
    page.get_by_role("button", name="Dark").click()
    page.reload()
    assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "dark"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(17, 20, 22)"
