"""The calendar of a flow's windows: each stretch in its cell, days of 23 and 25 hours, nothing told that is not known."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from piko_flow import Cron, Interval
from piko_flow.ops.console.calendar import Calendar, Cell, calendar_of, scale_for
from piko_flow.planning.flow_state import FlowState, LiveRun
from piko_flow.planning.ledger import Ledger, Mark
from piko_flow.planning.window import Window

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
BERLIN, ZULU = ZoneInfo("Europe/Berlin"), ZoneInfo("UTC")


def at(hour: float, day: int = 10) -> datetime:
    return datetime(2026, 3, day, tzinfo=UTC) + hour * HOUR


def state(*spans: tuple[float, float, Mark], live: tuple[LiveRun, ...] = (), until: float = 12) -> FlowState:
    ledger = Ledger()
    for start, end, mark in spans:
        span = Window(at(start), at(end))
        ledger = ledger.fail(span) if mark is Mark.FAILED else ledger.settle(span, mark)
    return FlowState("flow", origin=at(0), planned_until=at(until), ledger=ledger, live=live)


def shown(
    of: FlowState, *, zone: ZoneInfo = ZULU, scale: str = "hours", last: date | None = None
) -> Calendar:
    return calendar_of(of, now=NOON, zone=zone, scale=scale, last=last)


def today(of: FlowState) -> list[str]:
    return [cell.tone for cell in shown(of).rows[0][1]]


def test_each_hour_has_what_became_of_it() -> None:
    live = (LiveRun(1, Window(at(6), at(7)), queued=False), LiveRun(2, Window(at(7), at(8))))
    found = today(
        state(
            (0, 2, Mark.DONE),
            (2, 3, Mark.INCOMPLETE),
            (3, 4, Mark.SKIPPED),
            (4, 5, Mark.FAILED),
            (8, 12, Mark.DONE),
            live=live,
        )
    )
    assert found[:8] == ["success", "success", "incomplete", "skipped", "failed", "gap", "running", "waiting"]
    assert found[8:12] == ["success"] * 4
    assert found[12:] == ["future"] * 12


def test_a_run_that_works_on_a_failed_window_is_shown_as_running() -> None:
    live = (LiveRun(1, Window(at(4), at(5)), queued=False),)
    assert today(state((0, 4, Mark.DONE), (4, 5, Mark.FAILED), live=live))[4] == "running"


def test_a_cell_with_several_stretches_shows_them_in_their_shares_and_the_worst_colours_it() -> None:
    cell = shown(state((0, 0.25, Mark.DONE), (0.25, 0.5, Mark.FAILED), (0.5, 12, Mark.DONE))).rows[0][1][0]
    assert cell.tone == "failed"
    assert cell.parts == (("success", 0, 250), ("failed", 250, 250), ("success", 500, 500))
    assert cell.told == "2026-03-10 00:00: failed, done"


def test_a_cell_with_many_stretches_has_the_worst_colour_alone() -> None:
    spans = [
        (number / 10, (number + 1) / 10, Mark.FAILED if number % 2 else Mark.DONE) for number in range(10)
    ]
    cell = shown(state(*spans)).rows[0][1][0]
    assert (cell.tone, cell.parts) == ("failed", ())


def test_before_the_flow_began_nothing_was_expected() -> None:
    rows = shown(state((0, 12, Mark.DONE))).rows
    assert {cell.tone for cell in rows[1][1]} == {"none"}
    assert rows[1][1][0].told == "2026-03-09 00:00: before the flow began"


def test_what_is_known_is_shown_wherever_it_lies() -> None:
    """A trigger and a backfill reach back to before the origin, and ahead of what was planned."""
    live = (LiveRun(1, Window(at(5), at(6)), queued=False),)
    known = FlowState("flow", origin=at(6), planned_until=at(8), live=live)
    ledger = Ledger().settle(Window(at(1), at(2)), Mark.DONE).fail(Window(at(2), at(3)))
    ledger = ledger.settle(Window(at(6), at(8)), Mark.DONE).fail(Window(at(9), at(10)))
    found = today(replace(known, ledger=ledger))
    assert found[:6] == ["none", "success", "failed", "none", "none", "running"]
    assert found[6:11] == ["success", "success", "future", "failed", "future"]
    assert today(FlowState("flow", ledger=ledger))[:4] == ["future", "success", "failed", "future"]


@pytest.mark.parametrize("of", [FlowState("flow"), FlowState("flow", origin=at(0))])
def test_a_flow_that_has_not_begun_has_an_empty_calendar(of: FlowState) -> None:
    found = shown(of)
    assert {cell.tone for _, cells in found.rows for cell in cells} == {"future"}
    assert found.tones == ()


def test_cells_join_and_say_their_offset_over_both_changes_of_clocks() -> None:
    for last, hours in ((date(2025, 3, 30), 23), (date(2025, 10, 26), 25), (date(2025, 10, 27), 24)):
        found = calendar_of(FlowState("flow"), now=NOON, zone=BERLIN, scale="hours", last=last)
        cells = found.rows[0][1]
        assert len(cells) == hours
        edges = [(datetime.fromisoformat(cell.start), datetime.fromisoformat(cell.end)) for cell in cells]
        assert all(end - start == HOUR for start, end in edges)
        assert all(one[1] == two[0] for one, two in pairwise(edges))


def test_days_stand_in_rows_of_months() -> None:
    found = shown(state((0, 12, Mark.DONE)), scale="days")
    assert [name for name, _ in found.rows] == [
        "Mar 2026",
        "Feb 2026",
        "Jan 2026",
        "Dec 2025",
        "Nov 2025",
        "Oct 2025",
    ]
    assert [len(cells) for _, cells in found.rows] == [31, 28, 31, 31, 30, 31]
    cell: Cell = found.rows[0][1][9]
    assert (cell.start, cell.end) == ("2026-03-10 00:00+00:00", "2026-03-11 00:00+00:00")
    assert (cell.tone, cell.told) == (
        "part",
        "2026-03-10 00:00: done in part (00:00 to 12:00), the rest not planned yet",
    )


def test_a_cell_is_done_only_where_all_of_it_is() -> None:
    """A backfill of before the origin that cuts windows: what it has not run is not shown as done."""
    ledger = Ledger().settle(Window(at(2), at(6.25)), Mark.DONE).settle(Window(at(12), at(24)), Mark.DONE)
    known = FlowState("flow", origin=at(12), planned_until=at(24), ledger=ledger)
    hours = shown(known).rows[0][1]
    assert [cell.tone for cell in hours[:8]] == ["none", "none", *["success"] * 4, "part", "none"]
    assert hours[6].told == (
        "2026-03-10 06:00: done in part (06:00 to 06:15), the rest before the flow began"
    )
    assert hours[6].parts == (("success", 0, 250), ("none", 250, 750))
    day = shown(known, scale="days").rows[0][1][9]
    assert (day.tone, [tone for tone, _, _ in day.parts]) == ("part", ["none", "success", "none", "success"])
    assert "done in part (02:00 to 06:15 and 12:00 to 00:00)" in day.told
    whole = replace(known, ledger=ledger.settle(Window(at(0), at(12)), Mark.DONE))
    assert shown(whole, scale="days").rows[0][1][9].tone == "success"


def test_a_cell_with_many_done_stretches_tells_the_first_and_how_many_more() -> None:
    ledger = Ledger()
    for hour in range(0, 20, 2):
        ledger = ledger.settle(Window(at(hour), at(hour + 1)), Mark.DONE)
    cell = shown(FlowState("flow", ledger=ledger), scale="days").rows[0][1][9]
    assert (cell.tone, cell.parts) == ("part", ())
    assert "(00:00 to 01:00 and 02:00 to 03:00 and 04:00 to 05:00 and 7 more)" in cell.told


def test_the_page_is_turned_back_and_not_past_today() -> None:
    first = shown(state((0, 12, Mark.DONE)))
    assert (first.earlier, first.later) == ("2026-02-24", "")
    second = shown(state((0, 12, Mark.DONE)), last=date(2026, 2, 24))
    assert second.later == "2026-03-10"
    assert shown(state((0, 12, Mark.DONE)), last=date(2027, 1, 1)).rows[0][0] == "Tue 03-10"


def test_long_windows_are_shown_by_days() -> None:
    assert scale_for(Interval(minutes=5), NOON) == "hours"
    assert scale_for(Cron("0 3 * * *"), NOON) == "days"
    assert scale_for(None, NOON) == "hours"
