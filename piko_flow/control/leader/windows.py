"""Windows of stateful flows become rows."""

from __future__ import annotations

import logging
from datetime import datetime
from functools import partial

from piko_flow.control.flows.schedule_rows import Schedule
from piko_flow.control.leader.draft import Draft
from piko_flow.control.leader.new_runs import window_run
from piko_flow.control.leader.reign import Reign
from piko_flow.planning.catch_up import plan
from piko_flow.planning.flow_state import FlowState
from piko_flow.store.batch import Decided, Decision
from piko_flow.store.protocols import LedgerStore
from piko_flow.store.records import RunRecord

log = logging.getLogger("piko_flow.scheduler")

FLOWS = 100  # flows planned in one step


async def plan_windows(reign: Reign, draft: Draft, store: LedgerStore) -> None:
    """Decide, in the transaction and on the state that is locked there, which windows are due."""
    flows = [flow for flow in sorted(reign.backlog) if reign.follows(flow)][:FLOWS]
    if not flows:
        reign.backlog.clear()
        return
    reign.backlog.difference_update(flows)
    upstreams = {after for flow in flows if (after := reign.schedules[flow].flow.after) is not None}
    schedules = [reign.schedules[flow] for flow in flows]  # now: while it waits for the store some may go
    covered = await store.states(upstreams) if upstreams else {}
    for flow, schedule in zip(flows, schedules, strict=True):
        upstream = covered[schedule.flow.after] if schedule.flow.after is not None else None
        if upstream is None or upstream.origin is not None:  # nothing is due after a flow that has not begun
            decide = partial(_decide, reign, schedule, upstream)
            draft.decide(Decision(flow, decide), partial(_decided, reign, draft, flow))


def _decide(
    reign: Reign, schedule: Schedule, upstream: FlowState | None, state: FlowState, now: datetime
) -> Decided:
    until = covers(upstream, state) if upstream is not None else None
    change = plan(state, schedule.trigger, schedule.windows, now=now, until=until)
    return Decided(
        change, tuple(window_run(reign, schedule, change.state, window, now) for window in change.queue)
    )


def covers(upstream: FlowState, state: FlowState) -> datetime | None:
    """How far the upstream flow's ledger covers without a gap, from where the waiting flow stands.

    What lies before the upstream's own origin is not expected of it, so it counts as covered.
    """
    begin = state.planned_until or upstream.origin
    if upstream.origin is None or begin is None:
        return None
    return upstream.ledger.settled_until(max(begin, upstream.origin))


def _decided(
    reign: Reign, draft: Draft, flow: str, result: tuple[Decided, list[RunRecord]] | Exception
) -> None:
    if isinstance(result, Exception):
        log.error("the windows of %r cannot be planned", flow, exc_info=result)
        reign.refuse(flow, result)
        return
    decided, runs = result
    change = decided.change
    before = reign.facts.get(flow)
    if before is None or before.watermark != change.state.watermark:
        reign.backlog |= reign.dependents[flow]
    for unwanted in change.unwanted:
        reign.end(unwanted)
    for run in runs:
        reign.add(run)
    reign.note(
        flow,
        planned_until=change.state.planned_until,
        origin=change.state.origin,
        watermark=change.state.watermark,
        generation=change.state.generation,
        schedule=change.state.schedule,
    )
    assert draft.told is not None
    reign.expect(flow, draft.told)  # a fire that is not due yet by the store's clock is waited for
    if change.more and runs:
        reign.backlog.add(flow)  # the bound on queued runs tells when it is enough
    reign.stalled.discard(flow)
    if change.more:
        reign.stalled.add(flow)
