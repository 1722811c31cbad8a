"""What is wider than a phone scrolls in its own place: one sees that it goes on, and keys reach it."""

from __future__ import annotations

import pytest

from piko_flow.store.ops_records import Role
from tests.browser.conftest import Opens
from tests.browser.console_scene import Scene
from tests.browser.test_console_pages import PAGES, path_of

PHONE = {"width": 390, "height": 844}
WIDER = """() => [...document.querySelectorAll('body *')].filter(one =>
    ['auto', 'scroll'].includes(getComputedStyle(one).overflowX) && one.scrollWidth - one.clientWidth > 1)"""
NEW = "document.querySelector('.stages[role=region]:not([data-old])')"
UNTOLD = f"""() => ({WIDER})().filter(one => !one.classList.contains('more-right')
    || getComputedStyle(one).maskImage === 'none'
    || !(one.matches('nav[aria-label]') || one.matches('[tabindex="0"][role=region][aria-label]')))
    .map(one => one.outerHTML.slice(0, 200))"""


@pytest.mark.parametrize("name", PAGES)
def test_what_scrolls_sideways_shows_it_and_can_be_reached_with_keys(
    scene: Scene, opens: Opens, name: str
) -> None:
    path, heading, _ = PAGES[name]
    page = opens(path_of(scene, path), role=Role.ADMIN, viewport=PHONE)
    page.find("h1").get_by_text(path_of(scene, heading), exact=True).wait_for()
    page.page.wait_for_load_state("networkidle" if "live" not in name else "load")
    for fold in page.find("main details > summary").all():
        fold.click()
    page.until(f"({UNTOLD})().length === 0")  # what is drawn anew is told of a moment later


def test_the_sign_is_at_the_edge_behind_which_there_is_more(scene: Scene, opens: Opens) -> None:
    page = opens(path_of(scene, "/runs/{stream_orders}"), viewport=PHONE)
    table = page.find(".stages[role=region]")
    page.find(".stages[role=region].more-right:not(.more-left)").wait_for()
    page.picture("edges-run-phone")
    table.focus()
    page.page.keyboard.press("End")
    page.page.keyboard.press("ArrowRight")
    page.find(".stages.more-left").wait_for()
    table.evaluate("table => { table.scrollLeft = table.scrollWidth; }")
    page.find(".stages:not(.more-right)").wait_for()


def test_a_table_stays_scrolled_as_far_when_the_page_goes_on(scene: Scene, opens: Opens) -> None:
    page = opens(path_of(scene, "/runs/{stream_orders}"), viewport=PHONE)
    table = page.find(".stages[role=region]")
    table.wait_for()
    table.focus()
    table.evaluate("table => { table.scrollLeft = 120; table.dataset.old = 'old'; }")
    page.until(f"(table => table && table.scrollLeft === 120 && table === document.activeElement)({NEW})")
