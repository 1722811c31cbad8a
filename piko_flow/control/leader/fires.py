"""Fires of stateless flows become rows."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import TypeAlias

from piko_flow.control.leader.draft import Draft
from piko_flow.control.leader.new_runs import fire_run
from piko_flow.control.leader.reign import Reign
from piko_flow.planning.stateless import due_fires
from piko_flow.store.batch import PlannedFires
from piko_flow.store.records import RunRecord

QUEUED = 1000  # runs of a flow that does not coalesce that may wait at once
FLOWS, ROWS = 100, 1000  # flows and rows of one step: between steps the loop serves others

log = logging.getLogger("piko_flow.scheduler")

Reserve: TypeAlias = Callable[[str, str], Callable[[RunRecord | None], None] | None]
"""Asked with flow and group whether its run may be claimed at once; gives what to call with the record."""


def plan_fires(reign: Reign, draft: Draft, now: datetime, reserve: Reserve) -> None:
    """Queue what is due of stateless flows, claimed at once where there is a slot; note stateful ones as due."""
    while reign.starts and len(draft.ask.planned) < ROWS:
        draft.plan(reign.starts.pop())
    for _ in range(FLOWS):
        found = reign.due(now) if len(draft.ask.queue) < ROWS else None
        if found is None:
            return
        flow, due = found
        schedule = reign.schedules[flow]
        if schedule.flow.stateful:
            reign.backlog.add(flow)
            reign.expect(flow, now)
        else:
            try:
                _plan(reign, draft, flow, now, max(due, now), reserve)
            except Exception as error:
                log.exception("the fires of %r cannot be planned", flow)
                reign.refuse(flow, error)


def _plan(reign: Reign, draft: Draft, flow: str, now: datetime, at: datetime, reserve: Reserve) -> None:
    """Plan what is due at the instant; where that is ahead of now, nothing of it begins before."""
    schedule, facts = reign.schedules[flow], reign.facts[flow]
    if reign.queued_of[flow] >= (1 if schedule.row.coalesce else QUEUED):
        reign.held.add(flow)  # what falls due meanwhile is one run then, or comes too late and is recorded so
        return
    assert facts.planned_until is not None
    rows, until, _ = due_fires(
        flow, schedule.trigger, after=facts.planned_until, now=at, policy=schedule.fires
    )
    for row in rows:
        then = None if row.missed else reserve(flow, schedule.row.concurrency_group)
        run = fire_run(reign, flow, row, at, claim=then is not None)
        if at > now and not row.missed:
            run = replace(run, not_before=at)
        draft.queue(run, then or reign.queued, partial(reign.refuse, flow))
    draft.plan(PlannedFires(flow, until, schedule.identity))
    reign.note(flow, planned_until=until)
    reign.expect(flow, until)
    if schedule.date is not None and schedule.date <= until:
        reign.completed.append((flow, schedule.date))
