"""On a phone nothing is wider than the page, and no text lies over another, however long its windows are."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from piko_flow.store.ops_records import Role
from tests.browser.conftest import Opens
from tests.browser.console_scene import Scene
from tests.browser.test_console_pages import PAGES, path_of

PHONE = {"width": 390, "height": 844}
FAR = "Asia/Kathmandu"  # where each time has its UTC beside
WIDE = """() => [...document.querySelectorAll('main *')].filter(one => !one.closest('[role=region]') &&
    (one.getBoundingClientRect().right > innerWidth + 1)).map(one => one.outerHTML.slice(0, 200))"""
LAPPED = """() => [...document.querySelectorAll('.stacked td, .stat, .facts dd, .field')].filter(one =>
    one.offsetParent && one.scrollWidth > one.clientWidth + 1).map(one => one.outerHTML.slice(0, 200))"""
LONG = "data_time_start = '2026-01-31 18:14:58.125', data_time_end = '2026-02-01 18:14:59.375'"


@pytest.fixture(scope="module")
def long_windows(scene: Scene) -> Iterator[None]:
    """Runs over windows across midnight, in seconds and parts of them, for as long as this module looks."""
    numbers = ", ".join(str(scene.runs[flow]) for flow in ("failing", "check_orders", "stream_orders"))
    scene.place.world.sql(f"UPDATE job_run SET {LONG} WHERE run_id IN ({numbers})")
    yield
    scene.place.world.sql(
        f"UPDATE job_run SET data_time_start = NULL, data_time_end = NULL WHERE run_id IN ({numbers})"
    )


@pytest.mark.parametrize("name", PAGES)
def test_nothing_is_wider_than_a_phone_or_lies_over_its_neighbour(
    scene: Scene, long_windows: None, opens: Opens, name: str
) -> None:
    path, heading, _ = PAGES[name]
    page = opens(path_of(scene, path), role=Role.ADMIN, viewport=PHONE, timezone_id=FAR)
    page.find("h1").get_by_text(path_of(scene, heading), exact=True).wait_for()
    for fold in page.find("main details > summary").all():
        fold.click()
    page.picture(f"far-{name}-phone")
    assert page.page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert page.page.evaluate(WIDE) == []
    assert page.page.evaluate(LAPPED) == []


def test_a_long_window_is_written_in_lines(scene: Scene, long_windows: None, opens: Opens) -> None:
    page = opens("/runs?flow=failing", viewport=PHONE, timezone_id=FAR)
    window = page.find("[data-start]").first
    assert "Feb 1, 2026, 23:59:59" in window.inner_text()
    assert window.evaluate("one => one.getBoundingClientRect().height") > 30
