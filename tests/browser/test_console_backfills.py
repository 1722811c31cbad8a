"""A range of the calendar is chosen with the mouse and with keys, previewed and run; backfills are watched and changed."""

from __future__ import annotations

from piko_flow.planning.run_state import RunStatus
from piko_flow.store.protocols import RunFilter
from tests.browser.conftest import Opens
from tests.browser.console_scene import Scene
from tests.browser.watched_page import WatchedPage


def chosen(page: WatchedPage) -> tuple[str, str]:
    return page.page.get_by_label("From", exact=True).input_value(), page.page.get_by_label(
        "Up to, left out"
    ).input_value()


def test_a_range_is_dragged_previewed_and_run(scene: Scene, opens: Opens) -> None:
    page = opens("/flows/sync_orders")
    kind = ".cell.skipped:not([aria-label*='before the flow began'])"
    # The newest day may have fewer than four, and so may the one on which the flow began.
    day = page.find(f"tr:has(td:nth-of-type(21) {kind}):has(td:nth-of-type(24) {kind})").first
    skipped = day.locator(f"button{kind}")
    first, last = skipped.nth(0), skipped.nth(3)
    first.drag_to(last)
    assert page.find('.cell[aria-pressed="true"]').count() == 4
    told = page.find("[data-told]").inner_text()
    assert told.startswith("Selected ")
    assert "skipped. Skipped windows were not run because they are older than its newest 100 windows" in told
    start, end = chosen(page)
    assert start == first.get_attribute("data-start")
    assert end == last.get_attribute("data-end")
    page.press("Preview the backfill")
    page.find("#plan strong").wait_for()
    assert "4 windows would run" in page.find("#plan").inner_text()
    page.shown("backfill-preview")
    page.press("Run 4 windows")
    assert "runs 4 windows" in page.told()
    page.page.get_by_text("done").first.wait_for()  # the page follows by itself
    page.shown("backfills-with-one")
    runs = scene.ask(lambda plane: plane.store.runs(RunFilter(backfill=1)))
    assert {run.status for run in runs} <= {RunStatus.SUCCESS, RunStatus.FAILED}
    assert len(runs) == 4


def test_a_range_is_chosen_with_keys(opens: Opens) -> None:
    page = opens("/flows/sync_orders")
    cell = page.find("button.cell").nth(30)
    cell.focus()
    page.page.keyboard.press("Space")
    for _ in range(2):
        page.page.keyboard.press("ArrowRight")
    page.page.keyboard.press("Space")
    assert page.find('.cell[aria-pressed="true"]').count() == 3
    assert chosen(page)[0] == cell.get_attribute("data-start")
    page.page.keyboard.press("ArrowDown")  # the range stays when one goes on
    assert page.find('.cell[aria-pressed="true"]').count() == 3


def test_a_range_without_windows_is_told(opens: Opens) -> None:
    page = opens("/flows/sync_orders")
    page.expected.add(422)
    page.page.get_by_label("From", exact=True).fill("2020-01-01")
    page.page.get_by_label("Up to, left out").fill("2019-01-01")
    page.press("Preview the backfill")
    page.find("#plan [role=alert]").wait_for()
    assert "the start lies before the end" in page.find("#plan").inner_text()


def test_a_backfill_is_paused_resumed_and_cancelled(scene: Scene, opens: Opens) -> None:
    page = opens("/flows/sync_orders")
    cells = page.find("button.cell.success, button.cell.failed")
    cells.nth(0).drag_to(cells.nth(cells.count() - 1))
    page.page.get_by_label("Windows that are").select_option("all")
    page.press("Preview the backfill")
    page.find("#plan button").wait_for()
    scene.ask(lambda plane: plane.pause("sync_orders"))  # else all of it may be done before it is looked at
    page.follow(page.find("#plan button"))
    number = page.find("tbody tr").first.locator("a.name").first.inner_text()
    for verb, state in (("Pause", "paused"), ("Resume", "running"), ("Cancel", "cancelled")):
        page.press(f"{verb} backfill {number}")
        assert page.told() == f"Backfill {number} is {state}."
