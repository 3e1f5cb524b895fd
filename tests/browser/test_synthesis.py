"""The dialog of synthetic speech: an example to hear, near misses to choose, errors beside their field."""

from __future__ import annotations

import io
import wave

from playwright.sync_api import Page, expect

from tests.browser.conftest import SignIn
from tests.browser.world import World

MINUTE = 60_000


def test_data_is_synthesized_as_chosen(page: Page, world: World, workers: None, sign_in: SignIn) -> None:
    sign_in(page, world.reader)
    page.get_by_role("link", name="Synthesize data").click()
    page.get_by_label("Name").fill("Spoken")
    page.get_by_label("Keywords").fill("stop, light on")
    page.get_by_label("Clips per keyword", exact=True).fill("10")
    page.get_by_role("checkbox", name="Men", exact=True).uncheck()
    page.get_by_role("button", name="Hear an example").click()
    player = page.locator("#speech-preview audio")
    player.wait_for(timeout=MINUTE)
    with wave.open(io.BytesIO(page.request.get(str(player.get_attribute("src"))).body())) as file:
        assert file.getnframes() > 0.2 * file.getframerate()
    chips = page.locator("#speech-preview .chip")
    expect(chips).to_have_count(6)
    page.get_by_role("button", name="Remove light", exact=True).click()
    expect(chips).to_have_count(5)

    page.get_by_label("Fastest", exact=True).fill("90")
    page.get_by_role("button", name="Speak", exact=True).click()
    expect(page.locator("#error-fastest")).to_contain_text("cannot be slower than the slowest")
    expect(chips).to_have_count(5)
    expect(page.get_by_role("checkbox", name="Men", exact=True)).not_to_be_checked()
    page.get_by_label("Fastest", exact=True).fill("200")
    page.get_by_role("button", name="Speak", exact=True).click()

    heading = page.get_by_role("region", name="Spoken")
    heading.get_by_role("link", name="New dataset").wait_for(timeout=MINUTE)
    expect(heading).to_contain_text("Only real recordings can judge")
    spoken = page.request.get("/api/v1/raw-data?name=Spoken").json()["results"][0]["label_counts"]
    assert {"stop", "light_on", "on"} <= set(spoken)
    assert "light" not in spoken
