"""What a person writes into `last_data_time`, and how the ends of runs meet it."""

from dataclasses import replace
from datetime import datetime

from piko_flow.planning.catch_up import plan
from piko_flow.planning.flow_state import FlowState, LiveRun, observe_edit, overlaps_live
from piko_flow.planning.ledger import Ledger, Mark
from tests.unit.planning_flow import (
    CATCH_UP,
    HOURLY,
    SKIP,
    at,
    end,
    planned,
    seen,
    span,
    spans,
    windows,
    with_live,
)


def done(since: float, until: float) -> FlowState:
    """Everything between two hours is planned and done, and shown."""
    state = replace(seen(since, planned=until), ledger=Ledger().settle(span(since, until), Mark.DONE))
    return replace(state, written=at(until), shown=at(until))


def edited(state: FlowState, shown: datetime | None) -> FlowState:
    return replace(state, shown=shown)


def test_what_was_written_last_and_an_emptied_value_are_no_edits() -> None:
    state = done(6, 9)
    for same in (state, edited(state, None)):
        assert observe_edit(same).state == same


def test_an_edit_forward_settles_the_span_as_skipped_and_drops_failed_marks() -> None:
    state = replace(done(6, 9), ledger=done(6, 9).ledger.fail(span(9, 10)), planned_until=at(10))
    change = observe_edit(edited(state, at(12)))
    assert spans(change.state) == [(6, 9, "done"), (9, 12, "skipped")]
    assert (change.state.watermark, change.state.planned_until, change.state.generation) == (
        at(12),
        at(12),
        0,
    )
    assert change.state.written == at(12)


def test_an_edit_forward_gives_up_queued_runs_of_the_schedule_inside_it_and_no_others() -> None:
    state = replace(done(6, 9), planned_until=at(12))
    state = with_live(state, span(9, 10), span(10, 11), span(11, 12))
    state = with_live(state, span(9, 9.5), origin="backfill 2")
    running = LiveRun(1, span(9, 10), queued=False)
    state = replace(state, live=(running, *state.live[1:]))
    change = observe_edit(edited(state, at(11)))
    assert (change.unwanted, change.reason) == ((2,), "superseded")
    assert [live.run for live in change.state.live] == [1, 3, 4]


def test_an_edit_backward_lets_the_same_windows_run_again_in_a_new_generation() -> None:
    change = plan(edited(done(6, 9), at(7)), HOURLY, CATCH_UP, now=at(9.5))
    assert change.queue == (span(7, 8), span(8, 9))
    assert (change.state.generation, change.state.watermark) == (1, at(7))


def test_an_edit_backward_leaves_alone_what_was_settled_beyond_the_watermark() -> None:
    state = done(6, 9)
    state = replace(
        state, planned_until=at(11), ledger=state.ledger.settle(span(10, 11), Mark.DONE).fail(span(9, 10))
    )
    change = plan(edited(state, at(8)), HOURLY, CATCH_UP, now=at(11))
    assert change.queue == (span(8, 9),)
    assert spans(change.state) == [(6, 8, "done"), (9, 10, "failed"), (10, 11, "done")]


def test_only_an_edit_to_before_it_moves_the_origin() -> None:
    assert observe_edit(edited(done(6, 9), at(7))).state.origin == at(6)
    assert observe_edit(edited(done(6, 9), at(12))).state.origin == at(6)
    change = plan(edited(done(6, 9), at(4)), HOURLY, CATCH_UP, now=at(9))
    assert (change.state.origin, change.state.watermark) == (at(4), at(4))
    assert change.queue == (span(4, 5), span(5, 6), span(6, 7), span(7, 8), span(8, 9))


def test_an_edit_to_the_watermark_itself_changes_nothing_but_is_taken_as_seen() -> None:
    state = replace(done(6, 9), written=at(8))
    change = observe_edit(state)
    assert change.state == replace(state, written=at(9))


def test_an_edit_off_the_grid_is_kept_to_the_microsecond() -> None:
    instant = datetime.fromisoformat("2026-03-01T07:00:00.000001+00:00")
    change = plan(edited(done(6, 9), instant), HOURLY, CATCH_UP, now=at(8))
    assert change.queue[0].start == instant
    assert change.state.watermark == instant


def test_under_skip_an_edit_backward_runs_the_newest_window_again() -> None:
    change = plan(edited(done(6, 9), at(6)), HOURLY, SKIP, now=at(9.5))
    assert change.queue == (span(8, 9),)
    assert spans(change.state) == [(6, 8, "skipped")]


def test_a_run_that_ends_in_a_span_that_was_passed_over_meanwhile_takes_nothing_back() -> None:
    state = with_live(replace(done(6, 9), planned_until=at(10)), span(9, 10), queued=False)
    passed = observe_edit(edited(state, at(12))).state
    assert spans(end(passed, span(9, 10), Mark.FAILED)) == [(6, 9, "done"), (9, 12, "skipped")]
    assert end(passed, span(9, 10), None).watermark == at(12)
    assert spans(end(passed, span(9, 10))) == [(6, 10, "done"), (10, 12, "skipped")]


def test_a_success_settles_a_failure_marks_and_a_cancel_leaves_a_gap() -> None:
    state = planned(seen(6), 9, CATCH_UP)
    state = end(end(end(state, span(6, 7), Mark.INCOMPLETE), span(7, 8), Mark.FAILED), span(8, 9), None)
    assert spans(state) == [(6, 7, "incomplete"), (7, 8, "failed")]
    assert (windows(state), state.watermark, state.gaps()) == ([], at(7), (span(7, 9),))


def test_runs_overlap_when_they_share_more_than_an_edge() -> None:
    state = with_live(seen(6), span(8, 9))
    assert overlaps_live(state, span(7, 8)) is None
    assert overlaps_live(state, span(9, 10)) is None
    assert overlaps_live(state, span(8.5, 8.75)) is state.live[0]
    assert overlaps_live(state, span(7, 8.25)) is state.live[0]
