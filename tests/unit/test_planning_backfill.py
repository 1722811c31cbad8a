"""Backfills: which windows, in which order, and what is queued of them as time goes on."""

from dataclasses import replace
from datetime import timedelta

import pytest

from piko_flow.errors import RequestRefused
from piko_flow.planning.backfill import feed, plan_backfill, plan_digest
from piko_flow.planning.flow_state import FlowState
from piko_flow.planning.interval import Interval
from piko_flow.planning.ledger import Ledger, Mark
from piko_flow.planning.requests import oldest_gap
from piko_flow.planning.trigger import Trigger
from piko_flow.planning.window import Window
from tests.unit.planning_flow import HOURLY, at, end, seen, span, with_live

NOW = at(12.5)


def mixed() -> FlowState:
    """Planned from 0 to 12: done, skipped, failed, incomplete, two hours nobody knows of, done."""
    ledger = Ledger().settle(span(0, 2), Mark.DONE).settle(span(2, 4), Mark.SKIPPED).fail(span(4, 6))
    ledger = ledger.settle(span(6, 8), Mark.INCOMPLETE).settle(span(10, 12), Mark.DONE)
    return replace(seen(0, planned=12), ledger=ledger)


def planned(state: FlowState, kind: str, window: Window, trigger: Trigger = HOURLY) -> list[Window]:
    return list(plan_backfill(state, trigger, kind=kind, span=window, now=NOW))


def test_missing_is_what_was_skipped_or_never_settled_but_not_what_failed() -> None:
    assert planned(mixed(), "missing", span(0, 24)) == [span(2, 3), span(3, 4), span(8, 9), span(9, 10)]


def test_failed_is_what_failed_or_came_out_incomplete() -> None:
    assert planned(mixed(), "failed", span(0, 24)) == [span(4, 5), span(5, 6), span(6, 7), span(7, 8)]


def test_a_gap_is_what_was_planned_and_is_not_settled_failed_or_not() -> None:
    assert planned(mixed(), "gap", span(0, 24)) == [span(4, 5), span(5, 6), span(8, 9), span(9, 10)]
    assert planned(mixed(), "gap", span(0, 4)) == []
    earlier = replace(mixed(), origin=at(1))
    assert planned(earlier, "gap", span(-5, 2)) == []  # before the flow began nothing was expected


def test_what_is_settled_meanwhile_is_no_gap_any_more() -> None:
    state = mixed()
    settled = replace(state, ledger=state.ledger.settle(span(4, 5), Mark.INCOMPLETE))
    assert feed(settled, [span(4, 5), span(5, 6)], 0, room=5, kind="gap") == ([span(5, 6)], 2)


def test_all_is_every_window_that_has_ended() -> None:
    assert planned(mixed(), "all", span(9, 24)) == [span(9, 10), span(10, 11), span(11, 12)]


def test_another_kind_is_refused_with_those_there_are() -> None:
    with pytest.raises(RequestRefused, match="gap, missing, failed, all; 'everything'"):
        planned(mixed(), "everything", span(0, 24))


def test_windows_are_clipped_to_the_span() -> None:
    assert planned(mixed(), "all", span(8.5, 9.25)) == [span(8.5, 9), span(9, 9.25)]


def test_windows_are_cut_by_todays_schedule() -> None:
    two_hours = Interval(hours=2)
    assert planned(mixed(), "missing", span(0, 24), two_hours) == [span(2, 4), span(8, 10)]


def test_what_was_planned_counts_as_over_though_todays_window_there_has_not_ended() -> None:
    daily = Interval(days=1)
    assert planned(mixed(), "failed", span(0, 24), daily) == [span(4, 8)]


def test_before_its_first_fire_a_trigger_makes_no_windows_but_gaps_there_can_be_closed() -> None:
    state = replace(mixed(), planned_until=at(5))
    later = Interval(hours=1, start_date=at(11))
    assert planned(state, "all", span(-500, 24), later) == [span(0, 11), span(11, 12)]
    assert planned(FlowState("f"), "all", span(-500, 24), later) == [span(11, 12)]
    assert planned(FlowState("f"), "all", span(-500, 24), Interval(hours=1, start_date=at(40))) == []


def test_a_past_that_was_never_planned_can_be_asked_for() -> None:
    assert planned(seen(10), "missing", span(7, 9)) == [span(7, 8), span(8, 9)]


def test_live_windows_are_left_out_but_for_all() -> None:
    state = with_live(mixed(), span(8, 9.5), queued=False)
    assert planned(state, "missing", span(8, 12)) == [span(9.5, 10)]
    assert planned(state, "all", span(8, 10)) == [span(8, 9), span(9, 10)]


def test_newest_first_is_the_same_windows_the_other_way_round() -> None:
    newest = plan_backfill(mixed(), HOURLY, kind="missing", span=span(0, 24), now=NOW, newest_first=True)
    assert list(newest) == planned(mixed(), "missing", span(0, 24))[::-1]


def test_too_many_windows_are_refused_not_cut_off() -> None:
    with pytest.raises(RequestRefused, match=r"at most 3 windows.*up to 2026-03-01T08:00:00\+00:00"):
        plan_backfill(seen(0), HOURLY, kind="all", span=span(5, 12), now=NOW, limit=3)
    assert len(plan_backfill(seen(0), HOURLY, kind="all", span=span(5, 8), now=NOW, limit=3)) == 3


def test_the_digest_tells_plans_apart_by_windows_and_order() -> None:
    windows = planned(mixed(), "missing", span(0, 24))
    assert plan_digest(windows) == plan_digest(list(windows))
    assert (
        len({plan_digest(windows), plan_digest(windows[::-1]), plan_digest(windows[1:]), plan_digest([])})
        == 4
    )


def test_feeding_gives_as_many_as_there_is_room_for_and_goes_on_from_there() -> None:
    windows = planned(mixed(), "missing", span(0, 24))
    first = feed(mixed(), windows, 0, room=3, kind="missing")
    assert first == (windows[:3], 3)
    assert feed(mixed(), windows, 3, room=3, kind="missing") == (windows[3:], 4)
    assert feed(mixed(), windows, 4, room=3, kind="missing") == ([], 4)
    assert feed(mixed(), windows, 0, room=0, kind="missing") == ([], 0)


def test_windows_done_meanwhile_are_passed_over_but_for_all() -> None:
    windows = [span(8, 9), span(9, 10)]
    state = replace(mixed(), ledger=mixed().ledger.settle(span(8, 9), Mark.DONE))
    assert feed(state, windows, 0, room=1, kind="missing") == ([span(9, 10)], 2)
    assert feed(state, windows, 0, room=1, kind="failed") == ([span(9, 10)], 2)
    assert feed(state, windows, 0, room=2, kind="all") == (windows, 2)


def test_of_a_window_done_in_part_the_rest_is_queued() -> None:
    state = replace(mixed(), ledger=mixed().ledger.settle(span(8.25, 8.5), Mark.DONE))
    assert feed(state, [span(8, 9), span(9, 10)], 0, room=1, kind="missing") == (
        [span(8, 8.25), span(8.5, 9)],
        1,
    )


def test_a_failed_window_that_a_person_skipped_meanwhile_is_passed_over() -> None:
    state = replace(mixed(), ledger=mixed().ledger.settle(span(4, 5), Mark.SKIPPED))
    assert feed(state, [span(4, 5), span(5, 6)], 0, room=2, kind="failed") == ([span(5, 6)], 2)


def test_a_live_run_in_the_way_stops_the_feeding_until_it_has_ended() -> None:
    state = with_live(mixed(), span(8.5, 9), origin="trigger")
    assert feed(state, [span(3, 4), span(8, 9), span(9, 10)], 0, room=5, kind="missing") == ([span(3, 4)], 1)
    state = end(state, span(8.5, 9), None)
    assert feed(state, [span(3, 4), span(8, 9), span(9, 10)], 1, room=5, kind="missing")[1] == 3


def test_one_feeding_looks_at_a_bounded_number_of_windows() -> None:
    second = timedelta(seconds=1)
    windows = [Window(at(0) + count * second, at(0) + (count + 1) * second) for count in range(3_600)]
    state = replace(seen(0), ledger=Ledger().settle(span(0, 1), Mark.DONE))
    assert feed(state, windows, 0, room=5, kind="missing") == ([], 2_000)
    assert feed(state, windows, 2_000, room=5, kind="missing") == ([], 3_600)


def test_what_failed_is_a_gap_wherever_it_lies_and_nothing_else_before_the_origin_is() -> None:
    state = replace(seen(6, planned=8), ledger=Ledger().settle(span(1, 2), Mark.DONE).fail(span(2, 3)))
    state = replace(state, ledger=state.ledger.settle(span(6, 7), Mark.DONE).fail(span(9, 10)))
    assert state.gaps() == (span(2, 3), span(7, 8), span(9, 10))
    assert planned(state, "gap", span(0, 12)) == [span(2, 3), span(7, 8), span(9, 10)]
    assert oldest_gap(state, HOURLY, at(12)) == span(2, 3)
    assert with_live(state, span(2, 3)).gaps() == (span(7, 8), span(9, 10))
    assert state.watermark == at(7)
