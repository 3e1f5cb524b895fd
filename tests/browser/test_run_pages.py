"""Progress, results and live parts of a run."""

from __future__ import annotations

import re
from datetime import timedelta

from django.utils import timezone
from playwright.sync_api import Page, Route, expect

from edgewise.events.publish import publish
from edgewise.jobs.presentation import snapshot
from runs_app.models import Run
from tests.browser.conftest import SignIn
from tests.browser.world import World

HEARD = "document.addEventListener('live:job', () => { window.heard = true; });"
STAR = "() => document.getElementById('trade-off').data.at(-1).customdata[0]"
PLACE_OF_A_POINT = """() => {
  const chart = document.getElementById("trade-off");
  const { xaxis, yaxis } = chart._fullLayout;
  const index = chart.data[0].customdata.indexOf(0.7);
  const [x, y] = [chart.data[0].x[index], chart.data[0].y[index]];
  return { x: xaxis._offset + xaxis.l2p(x), y: yaxis._offset + yaxis.l2p(y) };
}"""
POINTS = "() => document.getElementById('curves').data.map((trace) => trace.x.length)"


def test_curves_grow_live_and_rewind(page: Page, world: World, sign_in: SignIn) -> None:
    _open_and_listen(page, world, sign_in, world.pages["progress"])
    assert page.evaluate(POINTS) == [40, 4, 40, 4, 1]
    channel = f"job:{world.running}"
    point = {"series": "training", "step": 410, "loss": 0.2, "accuracy": 0.9, "learning_rate": 5e-4,
             "steps_per_second": 33.3}  # fmt: skip
    publish(channel, "metrics", [point, {**point, "series": "validation"}], 10**9)
    page.wait_for_function("() => document.getElementById('curves').data[0].x.length === 41")
    expect(page.locator("[data-fact=rate]")).to_have_text("33.3")
    publish(channel, "rewind", {"step": 300}, 10**9 + 1)
    page.wait_for_function("() => document.getElementById('curves').data[0].x.length === 30")
    line = {"id": 10**9, "time": "2026-01-01T12:00:00+00:00", "level": "info", "text": "Something new"}
    publish(channel, "log", line)
    expect(page.get_by_text("Something new")).to_be_visible()


def test_the_box_beside_the_curves_follows_the_run(page: Page, world: World, sign_in: SignIn) -> None:
    _open_and_listen(page, world, sign_in, world.pages["progress before the first step"])
    box = page.get_by_role("complementary", name="How far the run is")
    lasted = box.locator("[data-show=lasted]")
    expect(lasted).to_have_text("–")
    began = timezone.now() - timedelta(seconds=65)
    run = Run(pk=world.queued, state="running", started_at=began, progress_total=1000, progress_unit="steps")
    run.message = "Compiling"
    _tell(run)
    expect(box.get_by_text("Compiling")).to_be_visible()
    expect(lasted).to_have_text(re.compile(r"1 min \d+ s"))
    run.progress_done, run.rate, run.message = 400, 20.0, "Training"
    _tell(run)
    expect(box.get_by_role("progressbar")).to_have_attribute("value", "400")
    expect(box.get_by_text("400 / 1,000 steps · 20 steps/s · 30 s left")).to_be_visible()
    expect(box.locator("[data-show=left]").last).to_have_text("30 s")
    run.state, run.progress_done, run.finished_at = "succeeded", 1000, began + timedelta(seconds=90)
    _tell(run)
    expect(box.get_by_text("1,000 / 1,000 steps")).to_be_visible()
    expect(lasted).to_have_text("1 min 30 s")


def test_a_cancelled_run_says_at_once_that_it_stops(page: Page, world: World, sign_in: SignIn) -> None:
    _open_and_listen(page, world, sign_in, f"/runs/{world.stopping}/progress")
    page.get_by_role("button", name="Cancel", exact=True).click()
    expect(page.locator("#run-head .state")).to_have_text("Cancelling")
    expect(page.get_by_role("button", name="Cancel", exact=True)).to_be_disabled()


def test_of_equal_checkpoints_the_one_with_less_loss_is_marked(page: Page, world: World, sign_in: SignIn) -> None:
    _open_and_listen(page, world, sign_in, world.pages["progress"])
    point = {"series": "validation", "accuracy": 0.9565, "learning_rate": None, "steps_per_second": None}
    newer = [{**point, "step": step, "loss": loss} for step, loss in ((410, 0.3), (420, 0.2), (430, 0.2))]
    publish(f"job:{world.running}", "metrics", newer, 10**9)
    expect(page.locator("[data-fact=best-step]")).to_have_text("at step 420")


def test_the_log_is_folded_to_twenty_lines(page: Page, world: World, sign_in: SignIn) -> None:
    sign_in(page, world.reader, f"/runs/{world.finished}/progress")
    expect(page.get_by_text("Line 9", exact=True)).to_be_hidden()
    page.get_by_role("button", name="Show 10 earlier lines").click()
    expect(page.get_by_text("Line 9", exact=True)).to_be_visible()


def test_a_row_of_the_list_follows_its_run(page: Page, world: World, sign_in: SignIn) -> None:
    _open_and_listen(page, world, sign_in, "/runs/")
    row = page.locator(f"#run-{world.running}")
    expect(row).to_contain_text("400 / 1,000")
    now = snapshot(Run(pk=world.running, state="running", progress_done=450, progress_total=1000))
    publish(f"workspace:{world.workspace}", "job", {**now, "progress": {**now["progress"], "done": 450}})
    expect(row).to_contain_text("450 / 1,000")


def test_every_row_is_drawn_anew_after_a_lost_connection(page: Page, world: World, sign_in: SignIn) -> None:
    sign_in(page, world.reader, "/runs/")
    rows = page.locator("job-status").evaluate_all("all => all.map((one) => one.getAttribute('refresh'))")
    assert len(rows) > 2
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url.removeprefix(page.url.removesuffix("/runs/"))))
    with page.expect_event("requestfinished", lambda _: set(rows) <= set(asked)):
        page.evaluate("document.dispatchEvent(new Event('live:reconnected'))")


def test_a_change_while_a_part_is_drawn_anew_is_drawn_too(page: Page, world: World, sign_in: SignIn) -> None:
    _open_and_listen(page, world, sign_in, world.pages["progress before the first step"])
    held: list[Route] = []
    page.route("**/head?*", lambda route: held.append(route))
    run = Run(pk=world.queued, state="running")
    with page.expect_request("**/head?*"):
        _tell(run)
    run.state = "failed"
    page.evaluate("window.heard = false")
    _tell(run)
    page.wait_for_function("() => window.heard")
    with page.expect_request("**/head?*"):
        held.pop().fulfill(body="<div id=run-head>Running</div>")
    expect(page.locator("#run-head")).to_have_text("Running")
    held.pop().fulfill(body="<div id=run-head>Failed</div>")
    expect(page.locator("#run-head")).to_have_text("Failed")


def test_renaming_from_the_list_leaves_the_list_open(page: Page, world: World, sign_in: SignIn) -> None:
    sign_in(page, world.reader, "/runs/")
    page.get_by_role("button", name="More for Run to be cancelled").click()
    page.get_by_role("link", name="Rename …").click()
    page.get_by_label("Name", exact=True).fill("Run to be stopped")
    page.get_by_role("button", name="Rename").click()
    expect(page.get_by_role("row", name="Run to be stopped")).to_be_visible()
    assert page.url.endswith("/runs/")


def test_charts_without_points_have_axes_that_make_sense(page: Page, world: World, sign_in: SignIn) -> None:
    sign_in(page, world.reader, world.pages["progress before the first step"])
    chart = page.locator("#curves")
    chart.locator(".main-svg").first.wait_for()
    ticks = chart.locator(".ytick text, .y2tick text").all_text_contents()
    assert (ticks[0], ticks[-1]) == ("0%", "100%")
    assert chart.locator(".xtick text").last.text_content() == "1000"


def test_the_matrix_can_count_or_weigh(page: Page, world: World, sign_in: SignIn) -> None:
    sign_in(page, world.reader, world.pages["results"])
    page.locator("#matrix .main-svg").first.wait_for()
    expect(page.get_by_role("heading", name="1 of 71 test clips were heard wrong")).to_be_visible()
    page.get_by_role("button", name="% of row").click()
    expect(page.get_by_role("button", name="% of row")).to_have_attribute("aria-pressed", "true")
    assert page.locator("#matrix").get_by_text("100%").count() > 0


def test_the_clips_behind_an_error_can_be_heard(page: Page, world: World, sign_in: SignIn) -> None:
    sign_in(page, world.reader, world.pages["results"])
    page.get_by_role("button", name="Listen").click()
    expect(page.get_by_role("heading", name="up heard as down: 1 clip")).to_be_visible()
    expect(page.locator("audio")).to_have_count(1)
    expect(page.get_by_role("img", name="Spectrogram")).to_be_visible()


def test_the_table_by_label_sorts(page: Page, world: World, sign_in: SignIn) -> None:
    sign_in(page, world.reader, world.pages["results"])
    table = page.get_by_role("table").filter(has_text="Precision")
    table.get_by_role("button", name="Label").click()
    first = table.locator("tbody tr").first
    expect(first).to_contain_text("<silence>")
    table.get_by_role("button", name="Label").click()
    expect(first).to_contain_text("up")


def test_an_operating_point_is_tried_before_it_is_used(page: Page, world: World, sign_in: SignIn) -> None:
    sign_in(page, world.reader, world.pages["results"])
    page.locator("#trade-off .main-svg").first.wait_for()
    part = page.locator("#operating-point")
    expect(part.get_by_role("heading", name="At threshold 0.62 over 200 ms: ")).to_be_visible()
    tip = re.compile("Default: over 200 ms$")
    expect(part.locator(".field[data-name=smoothing_ms]")).to_have_attribute("data-tip", tip)
    part.get_by_label("Threshold", exact=True).fill("0.3")
    expect(part.get_by_role("heading", name="At threshold 0.30 over 200 ms: ")).to_be_visible()
    expect(part.get_by_text("Not in use yet.")).to_be_visible()
    # Plotly redraws after the heading has changed.
    page.wait_for_function(f"({STAR})() === 0.3")
    part.get_by_label("Threshold", exact=True).fill("0.333")
    expect(part.get_by_text("the nearest to 0.333 is 0.33")).to_be_visible()
    part.get_by_role("button", name="Reset Threshold to 0.62").click()
    expect(part.get_by_text("Operating point in use.")).to_be_visible()
    part.get_by_role("button", name="Use this point").click()
    expect(part.get_by_role("heading", name="At threshold 0.62 over 200 ms: ")).to_be_visible()


def test_a_click_on_a_curve_fills_the_form(page: Page, world: World, sign_in: SignIn) -> None:
    sign_in(page, world.reader, world.pages["results"])
    page.locator("#trade-off .main-svg").first.wait_for()
    place = page.evaluate(PLACE_OF_A_POINT)
    page.locator("#trade-off").click(position=place)
    part = page.locator("#operating-point")
    expect(part.get_by_label("Threshold", exact=True)).to_have_value("0.7")
    expect(part.get_by_label("Smoothing", exact=True)).to_have_value("0")
    expect(part.get_by_role("heading", name="At threshold 0.70: ")).to_be_visible()


def test_the_deploy_page_says_how_the_client_runs_what_it_gives(page: Page, world: World, sign_in: SignIn) -> None:
    sign_in(page, world.reader, world.pages["deploy"])
    expect(page.locator("#installation")).to_be_visible()
    page.get_by_label("Format").select_option("savedmodel")
    expect(page.get_by_text("import SavedModelRunner")).to_be_visible()
    expect(page.get_by_text("import TFLiteRunner")).to_be_hidden()


def test_deploying_is_greyed_with_its_reason(page: Page, world: World, sign_in: SignIn) -> None:
    sign_in(page, world.reader, "/runs/")
    queued = page.get_by_role("row", name="Run that is queued")
    expect(queued.get_by_role("button", name="Deploy Run that is queued: ")).to_have_attribute("aria-disabled", "true")
    expect(page.get_by_role("link", name="Deploy Run that is succeeded")).to_be_visible()


def _tell(run: Run) -> None:
    publish(f"job:{run.pk}", "job", snapshot(run))


def _open_and_listen(page: Page, world: World, sign_in: SignIn, address: str) -> None:
    """Open a page and wait until it hears events: the past, which comes first, ends with the job's state."""
    page.add_init_script(HEARD)
    sign_in(page, world.reader, address)
    page.wait_for_function("() => window.heard")
