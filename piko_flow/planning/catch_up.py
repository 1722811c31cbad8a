"""Which windows of a stateful flow are due: from `planned_until` on, less what is settled, live or failed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice

from piko_flow.planning.flow_state import (
    SCHEDULE,
    Change,
    FlowState,
    observe_edit,
    queued_within,
    without,
)
from piko_flow.planning.ledger import Mark, minus
from piko_flow.planning.lookback import end_of_older
from piko_flow.planning.moment import EARLIEST
from piko_flow.planning.trigger import Trigger, fires, last_fire
from piko_flow.planning.window import BackfillPolicy, Window

INSTANT = timedelta(microseconds=1)
STEP = 10_000  # windows looked at in one step; the next step goes on from there
MOST_LOOKBACK = 100_000  # windows; a greater limit is none


@dataclass(frozen=True, slots=True)
class WindowPolicy:
    """How a stateful flow wants its windows planned.

    `backfill`: what happens to missed windows. `grace`: under NONE, how long after it was due a window may
    still be queued. `lookback`: how many of the newest windows may run for the schedule, 0 for all (and so
    are more than 100,000). `queued`: how many runs of the schedule wait at once. `strict`: a window is planned
    only when all before it are settled. `begin`: where a flow without a watermark begins; None for the newest
    complete window.
    """

    backfill: BackfillPolicy = BackfillPolicy.SKIP
    grace: timedelta = timedelta(minutes=5)
    lookback: int = 0
    queued: int = 4
    strict: bool = False
    begin: datetime | None = None


def plan(
    state: FlowState, trigger: Trigger, policy: WindowPolicy, *, now: datetime, until: datetime | None = None
) -> Change:
    """The windows to queue now, and the state in which they are planned.

    `until` is how far the flow that this one waits for covers; windows that end later are not due yet, and
    under NONE only the newest covered one runs, because nobody knows since when it is covered.
    Nothing is planned twice: what comes out has to be stored together with the runs.
    """
    edited = observe_edit(state)
    state = edited.state
    if state.origin is None:
        state = first_sight(state, trigger, policy, now)
    state = follow_schedule(state, trigger, policy, now)
    due = now if until is None else min(now, until)
    looked = beyond_lookback(state, trigger, policy, due)
    passed = missed(looked.state, trigger, policy, now, due, waits=until is not None)
    planned = _queue_due(passed.state, trigger, policy, due)
    unwanted = (*edited.unwanted, *looked.unwanted, *passed.unwanted)
    reason = edited.reason or looked.reason or passed.reason or planned.reason
    return replace(planned, unwanted=unwanted, reason=reason)


def first_sight(state: FlowState, trigger: Trigger, policy: WindowPolicy, now: datetime) -> FlowState:
    """Where the flow begins: where the row or the policy says, else at the newest complete window, else at the
    last fire; with a trigger that is yet to fire, at its first fire, or now where that is its only one."""
    begin = state.shown or policy.begin
    if begin is None:
        last = last_fire(trigger, at=now)
        if last is None:
            coming = list(islice(fires(trigger, after=now), 2))
            begin = coming[0] if len(coming) == 2 else now
        else:
            begin = last_fire(trigger, at=last - INSTANT) or last
    return replace(state, origin=begin, planned_until=begin, written=state.shown)


def follow_schedule(state: FlowState, trigger: Trigger, policy: WindowPolicy, now: datetime) -> FlowState:
    """A changed schedule cuts from `planned_until` on; but where missed windows are skipped, the span from there
    to the first fire of the new schedule is one window: nobody has missed it yet."""
    assert state.planned_until is not None
    catches_up = policy.backfill is BackfillPolicy.CATCH_UP
    if state.cut_after is not None and (catches_up or state.planned_until >= state.cut_after):
        state = replace(state, cut_after=None)
    if state.schedule == trigger.identity:
        return state
    joins = bool(state.schedule) and not catches_up
    return replace(state, schedule=trigger.identity, cut_after=now if joins else None)


def beyond_lookback(state: FlowState, trigger: Trigger, policy: WindowPolicy, due: datetime) -> Change:
    """All but the newest `lookback` windows are settled as skipped; those that still wait are given up."""
    assert state.planned_until is not None
    if not 0 < policy.lookback <= MOST_LOOKBACK:
        return Change(state)
    waiting = (run.window.start for run in state.live if run.queued and run.origin == SCHEDULE)
    since = min((_cut_from(state), *waiting))
    end = end_of_older(trigger, policy.lookback, due=due, since=since)
    if end is None:
        return Change(state)
    if end <= _cut_from(state):  # no fire up to there cuts what is not planned yet
        end = min(end, state.planned_until)
    return pass_over(state, end, reason="lookback")


def missed(
    state: FlowState, trigger: Trigger, policy: WindowPolicy, now: datetime, due: datetime, *, waits: bool
) -> Change:
    """What the policy does not want caught up is settled as skipped: under SKIP all but the newest window, and
    those that still wait are given up; under NONE every window that fell due longer ago than the grace."""
    if policy.backfill is BackfillPolicy.CATCH_UP:
        return Change(state)
    if policy.backfill is BackfillPolicy.SKIP or waits:
        return all_but_newest(state, trigger, due)
    late = last_fire(trigger, at=min(now - policy.grace - INSTANT, due))
    return Change(state if late is None or late <= _cut_from(state) else _skip_until(state, late))


def all_but_newest(state: FlowState, trigger: Trigger, due: datetime) -> Change:
    """Where a new window is due, everything before it is settled as skipped, what still waits is given up."""
    last = last_fire(trigger, at=due)
    if last is None or last <= _cut_from(state):
        return Change(state)
    assert state.planned_until is not None
    before = last_fire(trigger, at=last - INSTANT)
    start = before if before is not None and before > _cut_from(state) else state.planned_until
    return pass_over(state, start, reason="superseded")


def pass_over(state: FlowState, until: datetime, *, reason: str) -> Change:
    """Settle everything planned next, up to the instant, as skipped, with the queued runs of the schedule inside it."""
    unwanted = queued_within(state, EARLIEST, until)
    passed = [run.window for run in state.live if run.run in unwanted]
    state = without(state, unwanted)
    for window in passed:
        state = replace(state, ledger=state.ledger.fill(window, Mark.SKIPPED))
    return Change(_skip_until(state, until), unwanted=unwanted, reason=reason if unwanted else "")


def wanted(state: FlowState, window: Window) -> tuple[Window, ...]:
    """The pieces of the window that nobody has settled, that have not failed, and that no live run covers."""
    pieces = state.ledger.untouched(window)
    return minus(pieces, state.live_windows) if state.live else pieces


def _skip_until(state: FlowState, until: datetime) -> FlowState:
    assert state.planned_until is not None
    if until <= state.planned_until:
        return state
    passed = wanted(state, Window(state.planned_until, until))
    return replace(state, ledger=state.ledger.add(passed, Mark.SKIPPED), planned_until=until)


def _queue_due(state: FlowState, trigger: Trigger, policy: WindowPolicy, due: datetime) -> Change:
    """Queue what is wanted, oldest first, as far as there is room."""
    waiting = sum(run.queued and run.origin == SCHEDULE for run in state.live)
    planned: list[Window] = []
    until = state.planned_until
    for step, window in enumerate(_cuts(state, trigger, due)):
        if step == STEP:
            return Change(replace(state, planned_until=until), tuple(planned), more=True)
        pieces = wanted(state, window)
        fitting = pieces[: max(policy.queued - waiting - len(planned), 0)]
        if policy.strict:
            fitting = fitting[:1] if pieces and is_next(state, pieces[0]) else ()
        planned += fitting
        if len(fitting) < len(pieces):
            until = pieces[len(fitting)].start
            blocked = "strict_order" if policy.strict else "queue_full"
            reason = "" if planned else blocked
            return Change(replace(state, planned_until=until), tuple(planned), reason=reason, more=True)
        until = window.end
    return Change(replace(state, planned_until=until), tuple(planned))


def is_next(state: FlowState, window: Window) -> bool:
    """Whether everything before the window is settled."""
    return state.watermark is not None and state.watermark >= window.start


def _cuts(state: FlowState, trigger: Trigger, due: datetime) -> Iterator[Window]:
    start = state.planned_until
    assert start is not None
    for fire in fires(trigger, after=_cut_from(state)):
        if fire > due:
            return
        yield tuple.__new__(Window, (start, fire))  # both are in UTC and in order: nothing to check
        start = fire


def _cut_from(state: FlowState) -> datetime:
    """Fires after this instant cut windows."""
    assert state.planned_until is not None
    return state.planned_until if state.cut_after is None else max(state.planned_until, state.cut_after)
