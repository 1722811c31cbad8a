"""Which windows of a stateful flow are due: from `planned_until` on, less what is settled, live or failed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from piko_flow.planning.flow_state import SCHEDULE, Change, FlowState, observe_edit, without
from piko_flow.planning.ledger import Mark, minus
from piko_flow.planning.trigger import Trigger, fires, last_fire
from piko_flow.planning.window import BackfillPolicy, Window

INSTANT = timedelta(microseconds=1)
STEP = 10_000  # windows looked at in one step; the next step goes on from there


@dataclass(frozen=True, slots=True)
class WindowPolicy:
    """How a stateful flow wants its windows planned.

    `backfill`: what happens to missed windows. `grace`: under NONE, how long after it was due a window may
    still be queued. `lookback`: how many of the newest windows may be planned, 0 for all. `queued`: how many
    runs of the schedule wait at once. `strict`: a window is planned only when all before it are settled.
    `begin`: where a flow without a watermark begins; None for the newest complete window.
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

    `until` is how far the flow that this one waits for covers; windows that end later are not due yet.
    Nothing is planned twice: what comes out has to be stored together with the runs.
    """
    edited = observe_edit(state)
    state = (
        edited.state if edited.state.origin is not None else first_sight(edited.state, trigger, policy, now)
    )
    state = follow_schedule(state, trigger, policy, now)
    due = now if until is None else min(now, until)
    looked = beyond_lookback(state, trigger, policy, due)
    if policy.backfill is BackfillPolicy.SKIP:
        planned = _newest(looked.state, trigger, policy, due)
    elif policy.backfill is BackfillPolicy.NONE:
        planned = _catch_up(within_grace(looked.state, trigger, policy, now, due), trigger, policy, due)
    else:
        planned = _catch_up(looked.state, trigger, policy, due)
    unwanted = (*edited.unwanted, *looked.unwanted, *planned.unwanted)
    reason = planned.reason or looked.reason or edited.reason
    return replace(planned, unwanted=unwanted, reason=reason)


def first_sight(state: FlowState, trigger: Trigger, policy: WindowPolicy, now: datetime) -> FlowState:
    """Where the flow begins: where the row or the policy says, else at the newest complete window, else the last fire."""
    begin = state.shown or policy.begin
    if begin is None:
        last = last_fire(trigger, at=now)
        begin = now if last is None else last_fire(trigger, at=last - INSTANT) or last
    return replace(state, origin=begin, planned_until=begin, written=state.shown)


def follow_schedule(state: FlowState, trigger: Trigger, policy: WindowPolicy, now: datetime) -> FlowState:
    """A changed schedule cuts from `planned_until` on; but where missed windows are skipped, what had not fallen
    due by the old schedule is one window up to the first fire of the new one."""
    assert state.planned_until is not None
    if state.cut_after is not None and state.planned_until >= state.cut_after:
        state = replace(state, cut_after=None)
    if state.schedule == trigger.identity:
        return state
    joins = bool(state.schedule) and policy.backfill is not BackfillPolicy.CATCH_UP
    return replace(state, schedule=trigger.identity, cut_after=now if joins else None)


def beyond_lookback(state: FlowState, trigger: Trigger, policy: WindowPolicy, due: datetime) -> Change:
    """All but the newest `lookback` windows are settled as skipped; those that still wait are given up."""
    if policy.lookback <= 0:
        return Change(state)
    oldest = last_fire(trigger, at=due)
    for _ in range(policy.lookback):
        if oldest is None or oldest <= _cut_from(state):
            return Change(state)
        oldest = last_fire(trigger, at=oldest - INSTANT)
    if oldest is None or oldest <= _cut_from(state):
        return Change(state)
    return pass_over(state, oldest, reason="lookback")


def within_grace(
    state: FlowState, trigger: Trigger, policy: WindowPolicy, now: datetime, due: datetime
) -> FlowState:
    """Every window that fell due longer ago than the grace is settled as skipped."""
    late = last_fire(trigger, at=min(now - policy.grace - INSTANT, due))
    return state if late is None or late <= _cut_from(state) else _skip_until(state, late)


def pass_over(state: FlowState, until: datetime, *, reason: str) -> Change:
    """Settle everything planned next, up to the instant, as skipped, with the queued runs of the schedule inside it."""
    unwanted = tuple(
        run.run for run in state.live if run.queued and run.origin == SCHEDULE and run.window.end <= until
    )
    passed = [run.window for run in state.live if run.run in unwanted]
    state = without(state, unwanted)
    for window in passed:
        state = replace(state, ledger=state.ledger.fill(window, Mark.SKIPPED))
    return Change(_skip_until(state, until), unwanted=unwanted, reason=reason if unwanted else "")


def wanted(state: FlowState, window: Window) -> tuple[Window, ...]:
    """The pieces of the window that nobody has settled, that have not failed, and that no live run covers."""
    return minus(state.ledger.untouched(window), state.live_windows)


def _skip_until(state: FlowState, until: datetime) -> FlowState:
    assert state.planned_until is not None
    ledger = state.ledger
    if until > state.planned_until:
        for piece in wanted(state, Window(state.planned_until, until)):
            ledger = ledger.settle(piece, Mark.SKIPPED)
    return replace(state, ledger=ledger, planned_until=max(until, state.planned_until))


def _newest(state: FlowState, trigger: Trigger, policy: WindowPolicy, due: datetime) -> Change:
    last = last_fire(trigger, at=due)
    if last is None or last <= _cut_from(state):
        return Change(state)
    before = last_fire(trigger, at=last - INSTANT)
    passed = Change(state)
    if before is not None and before > _cut_from(state):
        passed = pass_over(state, before, reason="superseded")
    else:
        assert state.planned_until is not None
        passed = pass_over(state, state.planned_until, reason="superseded")
    planned = _catch_up(passed.state, trigger, policy, due)
    return replace(planned, unwanted=passed.unwanted, reason=planned.reason or passed.reason)


def _catch_up(state: FlowState, trigger: Trigger, policy: WindowPolicy, due: datetime) -> Change:
    room, blocked = _room(state, policy)
    planned: list[Window] = []
    for step, window in enumerate(_cuts(state, trigger, due)):
        pieces = wanted(state, window)
        if pieces and len(planned) >= room:
            return Change(state, tuple(planned), reason="" if planned else blocked, more=True)
        planned += pieces
        state = replace(state, planned_until=window.end)
        if step >= STEP:
            return Change(state, tuple(planned), more=True)
    return Change(state, tuple(planned))


def _room(state: FlowState, policy: WindowPolicy) -> tuple[int, str]:
    """How many windows may be queued, and why there are not more."""
    if policy.strict:
        return (0, "strict_order") if state.live or state.gaps() else (1, "strict_order")
    waiting = sum(run.queued and run.origin == SCHEDULE for run in state.live)
    return max(policy.queued - waiting, 0), "queue_full"


def _cuts(state: FlowState, trigger: Trigger, due: datetime) -> Iterator[Window]:
    start = state.planned_until
    assert start is not None
    for fire in fires(trigger, after=_cut_from(state)):
        if fire > due:
            return
        yield Window(start, fire)
        start = fire


def _cut_from(state: FlowState) -> datetime:
    """Fires after this instant cut windows."""
    assert state.planned_until is not None
    return state.planned_until if state.cut_after is None else max(state.planned_until, state.cut_after)
