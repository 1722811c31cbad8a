"""Many tabs of one browser: they share its few connections, and those that nobody looks at ask nothing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from piko_flow.planning.run_state import RunStatus
from tests.browser.conftest import Opens
from tests.browser.console_scene import Scene

if TYPE_CHECKING:
    from playwright.sync_api import Page

STREAM = re.compile("/api/v1/events")
PLACES = 4  # pages of one browser that listen at once
HELD = "navigator.locks.query().then((all) => all.held.length)"


def turned(page: Page, *, away: bool) -> None:
    """Let the page believe that somebody has turned away from it, or has come back."""
    hidden = "true" if away else "false"
    page.evaluate(
        f"Object.defineProperty(document, 'hidden', {{value: {hidden}, configurable: true}});"
        "document.dispatchEvent(new Event('visibilitychange'))"
    )


def test_ten_tabs_of_a_browser_open_and_all_follow(scene: Scene, opens: Opens) -> None:
    first = opens("/runs?flow=unscheduled")
    tabs = [first.page]
    for _ in range(9):
        tab = first.page.context.new_page()
        tab.goto(f"{first.address}/runs?flow=unscheduled")
        tab.locator("h1").wait_for()
        tabs.append(tab)
    first.until(f"{HELD}.then((count) => count === {PLACES})")
    number = scene.trigger("unscheduled")
    scene.wait_run(number, RunStatus.SUCCESS)
    for tab in tabs:
        tab.get_by_role("link", name=str(number), exact=True).wait_for()


def test_a_tab_that_nobody_looks_at_gives_its_stream_back_and_catches_up(scene: Scene, opens: Opens) -> None:
    page = opens("/backfills")
    page.go("/runs?flow=unscheduled")
    page.until(f"{HELD}.then((count) => count === 1)")  # an answer could still be the last page's
    with page.page.expect_event("requestfailed", lambda request: bool(STREAM.search(request.url))):
        turned(page.page, away=True)
    page.until(f"{HELD}.then((count) => count === 0)")
    number = scene.trigger("unscheduled")
    scene.wait_run(number, RunStatus.SUCCESS)
    link = page.page.get_by_role("link", name=str(number), exact=True)
    assert link.count() == 0
    with page.page.expect_response(STREAM):
        turned(page.page, away=False)
    link.wait_for()


def test_a_tab_takes_the_place_of_one_that_was_closed(opens: Opens) -> None:
    first = opens("/runs")
    tab = first.page
    for held in range(1, PLACES + 1):
        first.until(f"{HELD}.then((count) => count === {held})")
        tab = first.page.context.new_page()
        tab.goto(f"{first.address}/runs")
    with tab.expect_response(STREAM):  # the last one has no place
        first.page.close()
