"""Where a flow begins, what is planned once, what may wait, and what a changed schedule means."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from piko_flow.planning.catch_up import WindowPolicy, plan
from piko_flow.planning.cron import Cron
from piko_flow.planning.date import Date
from piko_flow.planning.flow_state import Change, FlowState
from piko_flow.planning.interval import Interval
from piko_flow.planning.ledger import Ledger, Mark
from piko_flow.planning.trigger import Trigger
from piko_flow.planning.window import BackfillPolicy, Window
from tests.unit.planning_flow import (
    CATCH_UP,
    HOURLY,
    NONE,
    SKIP,
    at,
    end,
    planned,
    seen,
    span,
    spans,
    stored,
    windows,
    with_live,
)

MINUTE = timedelta(minutes=1)


def first(
    trigger: Trigger, now: float, policy: WindowPolicy = CATCH_UP, shown: datetime | None = None
) -> Change:
    return plan(FlowState("f", shown=shown), trigger, policy, now=at(now))


# 1. origin


@pytest.mark.parametrize("policy", [CATCH_UP, SKIP, NONE])
def test_a_flow_without_a_watermark_begins_at_the_newest_complete_window(policy: WindowPolicy) -> None:
    change = first(HOURLY, 12.01, policy)
    assert change.queue == (span(11, 12),)
    assert (change.state.origin, change.state.planned_until) == (at(11), at(12))


def test_a_flow_begins_where_its_row_says_before_where_its_code_says() -> None:
    begin = replace(CATCH_UP, begin=at(10))
    assert first(HOURLY, 12, begin).queue == (span(10, 11), span(11, 12))
    assert first(HOURLY, 12, begin, shown=at(11.5)).queue == (span(11.5, 12),)
    assert first(HOURLY, 12, begin, shown=at(11.5)).state.written == at(11.5)


def test_a_flow_with_one_fire_in_the_past_begins_there() -> None:
    change = first(Interval(hours=1, start_date=at(12)), 12.5)
    assert (change.state.origin, change.queue) == (at(12), ())


def test_a_flow_that_is_yet_to_fire_begins_at_its_first_fire() -> None:
    change = first(Interval(hours=1, start_date=at(20)), 12.5)
    assert (change.state.origin, change.queue) == (at(20), ())


def test_a_flow_with_a_single_fire_to_come_has_one_window_up_to_it() -> None:
    trigger = Date(at(14))
    state = first(trigger, 12.5).state
    assert plan(state, trigger, SKIP, now=at(14)).queue == (span(12.5, 14),)


def test_the_watermark_is_the_end_of_the_settled_stretch_from_the_origin() -> None:
    state = replace(seen(8), ledger=Ledger().settle(span(6, 7), Mark.DONE).settle(span(9, 10), Mark.DONE))
    assert state.watermark == at(8)
    assert replace(state, ledger=state.ledger.settle(span(8, 9), Mark.SKIPPED)).watermark == at(10)


# 2. planning


def test_planning_goes_on_where_it_stopped() -> None:
    state = planned(seen(8), 10, CATCH_UP)
    assert windows(state) == [(8, 9), (9, 10)]
    assert plan(state, HOURLY, CATCH_UP, now=at(10.9)).queue == ()
    assert plan(state, HOURLY, CATCH_UP, now=at(11)).queue == (span(10, 11),)


def test_what_is_settled_live_or_failed_is_not_queued() -> None:
    ledger = Ledger().settle(span(8, 9), Mark.DONE).fail(span(9, 10)).settle(span(10.25, 10.5), Mark.SKIPPED)
    state = with_live(replace(seen(8), ledger=ledger), span(11, 12), origin="trigger")
    change = plan(state, HOURLY, CATCH_UP, now=at(13))
    assert change.queue == (span(10, 10.25), span(10.5, 11), span(12, 13))


def test_catch_up_plans_a_failed_or_cancelled_window_no_second_time() -> None:
    state = planned(seen(8), 10, CATCH_UP)
    state = end(end(state, span(8, 9), Mark.FAILED), span(9, 10), None)
    assert plan(state, HOURLY, CATCH_UP, now=at(10.5)).queue == ()
    assert state.gaps() == (span(8, 10),)
    assert spans(state) == [(8, 9, "failed")]


def test_no_more_than_a_few_windows_wait_and_the_others_are_said_to_be_left() -> None:
    policy = WindowPolicy(BackfillPolicy.CATCH_UP, queued=2)
    change = plan(seen(0), HOURLY, policy, now=at(10))
    assert (change.queue, change.more, change.reason) == ((span(0, 1), span(1, 2)), True, "")
    full = plan(stored(change), HOURLY, policy, now=at(10))
    assert (full.queue, full.more, full.reason) == ((), True, "queue_full")
    state = replace(full.state, live=(replace(full.state.live[0], queued=False), full.state.live[1]))
    assert plan(state, HOURLY, policy, now=at(10)).queue == (span(2, 3),)


def test_the_pieces_of_a_window_count_as_windows_that_wait() -> None:
    ledger = Ledger().settle(span(0.25, 0.5), Mark.DONE)
    policy = WindowPolicy(BackfillPolicy.CATCH_UP, queued=1)
    state = replace(seen(0), ledger=ledger)
    change = plan(state, HOURLY, policy, now=at(1))
    assert (change.queue, change.more) == ((span(0, 0.25),), True)
    state = end(stored(change), span(0, 0.25))
    assert plan(state, HOURLY, policy, now=at(1)).queue == (span(0.5, 1),)


def test_a_step_is_bounded_and_the_next_goes_on() -> None:
    trigger = Interval(seconds=1)
    state = replace(seen(0, trigger=trigger), ledger=Ledger().settle(span(0, 6), Mark.DONE))
    steps, more = 0, True
    while more:
        change = plan(state, trigger, CATCH_UP, now=at(6))
        assert change.queue == ()
        state, more, steps = change.state, change.more, steps + 1
    assert (steps, state.planned_until) == (3, at(6))


def test_windows_that_end_after_what_another_flow_covers_are_not_due() -> None:
    change = plan(seen(8), HOURLY, CATCH_UP, now=at(12), until=at(9.5))
    assert (change.queue, change.more) == ((span(8, 9),), False)
    assert (
        plan(change.state, HOURLY, CATCH_UP, now=at(12), until=datetime.min.replace(tzinfo=UTC)).queue == ()
    )


# 3. policies


def test_catch_up_queues_all_that_was_missed_oldest_first() -> None:
    assert plan(seen(5), HOURLY, CATCH_UP, now=at(8)).queue == (span(5, 6), span(6, 7), span(7, 8))


def test_skip_queues_the_newest_and_settles_the_older_ones_as_skipped() -> None:
    change = plan(seen(5), HOURLY, SKIP, now=at(8.5))
    assert change.queue == (span(7, 8),)
    assert spans(change.state) == [(5, 7, "skipped")]


def test_skip_gives_up_what_still_waits_when_a_newer_window_is_due_but_not_what_runs() -> None:
    state = with_live(seen(5, planned=6), span(5, 6), queued=False)
    state = planned(state, 7, SKIP)
    change = plan(state, HOURLY, SKIP, now=at(8))
    assert (change.queue, change.reason) == ((span(7, 8),), "superseded")
    assert change.unwanted == (2,)
    assert spans(change.state) == [(6, 7, "skipped")]
    assert windows(stored(change)) == [(5, 6), (7, 8)]


def test_skip_leaves_alone_what_somebody_asked_for() -> None:
    state = with_live(seen(5, planned=6), span(5, 6), origin="backfill 1")
    change = plan(state, HOURLY, SKIP, now=at(8))
    assert (change.unwanted, change.queue) == ((), (span(7, 8),))
    assert spans(change.state) == [(6, 7, "skipped")]


def test_none_skips_what_fell_due_longer_ago_than_the_grace() -> None:
    change = plan(seen(5), HOURLY, NONE, now=at(8) + 4 * MINUTE)
    assert (change.queue, spans(change.state)) == ((span(7, 8),), [(5, 7, "skipped")])
    late = plan(seen(5), HOURLY, NONE, now=at(8) + 6 * MINUTE)
    assert (late.queue, spans(late.state)) == ((), [(5, 8, "skipped")])


def test_none_queues_every_window_within_the_grace() -> None:
    policy = replace(NONE, grace=timedelta(hours=2))
    assert plan(seen(5), HOURLY, policy, now=at(8)).queue == (span(5, 6), span(6, 7), span(7, 8))


def test_none_does_not_hold_a_late_upstream_against_the_flow_that_waits_for_it() -> None:
    change = plan(seen(5), HOURLY, NONE, now=at(12), until=at(8))
    assert (change.queue, spans(change.state)) == ((span(7, 8),), [(5, 7, "skipped")])


@pytest.mark.parametrize("trigger", [HOURLY, Cron("0 * * * *")])
def test_lookback_counts_windows_and_skips_the_older_ones(trigger: Trigger) -> None:
    policy = replace(CATCH_UP, lookback=3)
    change = plan(seen(0, trigger=trigger), trigger, policy, now=at(10.5))
    assert change.queue == (span(7, 8), span(8, 9), span(9, 10))
    assert spans(change.state) == [(0, 7, "skipped")]
    few = plan(seen(8, trigger=trigger), trigger, policy, now=at(10.5))
    assert (few.queue, spans(few.state)) == ((span(8, 9), span(9, 10)), [])


def test_lookback_gives_up_what_waited_too_long() -> None:
    state = planned(seen(5), 8, replace(CATCH_UP, lookback=3))
    change = plan(state, HOURLY, replace(CATCH_UP, lookback=3), now=at(9))
    assert (change.unwanted, change.reason, change.queue) == ((1,), "lookback", (span(8, 9),))
    assert spans(change.state) == [(5, 6, "skipped")]


def test_no_lookback_and_an_absurd_one_are_no_limit() -> None:
    for lookback in (0, 10**9):
        assert len(plan(seen(0), HOURLY, replace(CATCH_UP, lookback=lookback), now=at(50)).queue) == 50


# 4. live guard


def test_no_run_is_queued_over_a_live_one_and_the_window_is_delayed_not_lost() -> None:
    state = with_live(seen(8), span(7.5, 8.5), queued=False, origin="trigger")
    change = plan(state, HOURLY, CATCH_UP, now=at(10))
    assert change.queue == (span(8.5, 9), span(9, 10))
    assert end(change.state, span(7.5, 8.5), None).gaps() == (span(8, 10),)


# strict order


def test_in_strict_order_a_window_waits_until_all_before_it_are_settled() -> None:
    policy = replace(CATCH_UP, strict=True)
    state = planned(seen(8), 11, policy)
    assert windows(state) == [(8, 9)]
    held = plan(state, HOURLY, policy, now=at(11))
    assert (held.queue, held.more, held.reason) == ((), True, "strict_order")
    failed = end(state, span(8, 9), Mark.FAILED)
    assert plan(failed, HOURLY, policy, now=at(11)).queue == ()
    retried = end(with_live(failed, span(8, 9), origin="replay"), span(8, 9))
    assert plan(retried, HOURLY, policy, now=at(11)).queue == (span(9, 10),)


def test_in_strict_order_a_live_run_ahead_is_waited_for_too() -> None:
    policy = replace(CATCH_UP, strict=True)
    state = with_live(seen(8), span(8, 9), origin="trigger")
    change = plan(state, HOURLY, policy, now=at(10))
    assert (change.queue, change.more) == ((), True)
    assert plan(end(change.state, span(8, 9)), HOURLY, policy, now=at(10)).queue == (span(9, 10),)


def test_in_strict_order_a_settled_window_that_runs_again_holds_up_nothing() -> None:
    policy = replace(CATCH_UP, strict=True)
    done = replace(seen(8, planned=9), ledger=Ledger().settle(span(8, 9), Mark.DONE))
    state = with_live(done, span(8, 9), origin="backfill 1")
    assert plan(state, HOURLY, policy, now=at(10)).queue == (span(9, 10),)


# 5. a changed schedule

DAYTIME = Interval(minutes=20, start_date=at(0.25))


def test_under_catch_up_a_new_schedule_cuts_from_where_planning_stands() -> None:
    change = plan(seen(8, planned=9), DAYTIME, CATCH_UP, now=at(10))
    edges = [window.start for window in change.queue]
    assert edges[:2] == [at(9), at(9.25)]
    assert change.queue[-1].end == at(9) + 55 * MINUTE


@pytest.mark.parametrize("policy", [SKIP, NONE])
def test_where_missed_windows_are_skipped_the_span_up_to_the_first_fire_is_one_window(
    policy: WindowPolicy,
) -> None:
    change = plan(seen(8, planned=9), DAYTIME, policy, now=at(9.75))
    assert (change.queue, spans(change.state)) == ((), [])
    due = plan(change.state, DAYTIME, policy, now=at(9) + 55 * MINUTE)
    assert due.queue == (Window(at(9), at(9) + 55 * MINUTE),)
    following = plan(stored(due), DAYTIME, policy, now=at(10.25))
    assert following.queue == (Window(at(9) + 55 * MINUTE, at(10.25)),)
    assert following.state.cut_after is None


def test_a_schedule_changed_twice_still_leaves_one_window() -> None:
    state = plan(seen(8, planned=9), DAYTIME, SKIP, now=at(9.5)).state
    weekly = Interval(hours=3)
    state = plan(state, weekly, SKIP, now=at(9.75)).state
    assert plan(state, weekly, SKIP, now=at(12)).queue == (span(9, 12),)


def test_lookback_cuts_nothing_that_a_changed_schedule_has_joined() -> None:
    policy = replace(SKIP, lookback=1)
    state = with_live(seen(5, planned=7), span(6, 7))
    change = plan(state, Interval(hours=2), policy, now=at(11))
    assert (change.unwanted, spans(change.state)) == ((1,), [(6, 7, "skipped")])
    assert change.state.planned_until == at(7)
    assert plan(change.state, Interval(hours=2), policy, now=at(12)).queue == (span(7, 12),)


def test_the_same_schedule_with_other_jitter_is_no_change() -> None:
    state = plan(seen(8, planned=9), Interval(hours=1, jitter=30), SKIP, now=at(9.5)).state
    assert state.cut_after is None
