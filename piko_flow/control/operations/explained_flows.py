"""Why a flow is not running."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from piko_flow.control.flows.flow_health import gaps_told
from piko_flow.control.flows.schedule_rows import Schedule
from piko_flow.control.leader.windows import covers
from piko_flow.control.operations.explained_facts import Facts, Line, code_missing, line
from piko_flow.control.operations.explained_runs import explain_run
from piko_flow.counting import are, counted
from piko_flow.planning.catch_up import plan
from piko_flow.planning.flow_state import Change, FlowState, overlaps_live
from piko_flow.planning.ledger import Mark
from piko_flow.planning.run_state import Reason, RunStatus
from piko_flow.planning.stateless import due_at
from piko_flow.planning.window import Window
from piko_flow.store.records import RunRecord

SHOWN = 5  # live runs and backfills that are told one by one


def explain_flow(facts: Facts) -> list[Line]:
    """What keeps the flow from running, what it waits for, and when it runs next; the most important first."""
    lines = [*_row(facts), *_leader(facts), *_params(facts), *_live(facts)]
    schedule = facts.schedule
    if schedule is not None and facts.reign.follows(facts.flow):
        lines += _due_windows(schedule, facts) if schedule.flow.stateful else _due_fires(schedule, facts)
    return [*lines, *_backfills(facts), *_failed(facts), *_last(facts)]


def _row(facts: Facts) -> Iterator[Line]:
    if not facts.registered:
        yield code_missing(facts)
    refused = facts.refusals.get(facts.flow, "")
    schedule = facts.schedule
    if refused and facts.registered:
        yield line(Reason.ROW_REFUSED, f"its schedule row is refused: {refused}")
    elif schedule is None and facts.registered:
        yield _no_schedule(facts)
    elif schedule is not None and not schedule.active:
        done = f"its date, {facts.time(schedule.date)}, has been dealt with" if schedule.date else ""
        text = done if schedule.row.enabled else "its row is not enabled"
        yield line(Reason.DISABLED, text)
    if paused := facts.reign.paused(facts.flow):
        all_too = "piko-flow schedule resume --all" if facts.reign.paused_all else ""
        yield line(Reason.PAUSED, paused, advice=all_too or f"piko-flow schedule resume {facts.flow}")


def _no_schedule(facts: Facts) -> Line:
    """A flow that nobody meant to schedule lacks nothing: neither its code has a schedule for it, nor a row ever had."""
    record = facts.reign.facts.get(facts.flow)
    if facts.declared or (record is not None and record.planned_until is not None):
        return line(Reason.NO_SCHEDULE)
    return line(Reason.NO_SCHEDULE, "it has no schedule: it runs when somebody asks", blocks=False)


def _leader(facts: Facts) -> Iterator[Line]:
    if facts.leader.elected and not facts.leader.leads:
        lease = facts.leader.lease
        since = f" since {facts.time(lease.until)}" if lease is not None else ""
        yield line(Reason.NO_LEADER, f"no replica leads{since}, so nothing is planned and nothing starts")


def _params(facts: Facts) -> Iterator[Line]:
    newest = facts.reign.params.newest(facts.flow)
    if newest is not None and newest.refused:
        text = f"version {newest.version} of its params is refused and not used: {newest.refused}"
        yield line(Reason.PARAMS_REFUSED, text, blocks=False)
    if facts.ignored:
        yield Line(None, f"of its params {facts.ignored}", blocks=False)


def _live(facts: Facts) -> Iterator[Line]:
    mine = [run for run in facts.reign.live.values() if run.flow == facts.flow]
    mine.sort(key=lambda run: (run.status is not RunStatus.RUNNING, run.id))
    for run in mine[:SHOWN]:
        for told in explain_run(run, facts):
            if told.reason is not Reason.NO_LEADER:  # told once, for the flow
                text = f"run {run.id}{_window(run, facts)}: {told.text}"
                yield Line(told.reason, text, told.advice, told.blocks)
    if len(mine) > SHOWN:
        yield Line(None, f"and {counted(len(mine) - SHOWN, 'more live run')}", blocks=False)


def _window(run: RunRecord, facts: Facts) -> str:
    return f" over {facts.span(run.window)}" if run.window is not None else ""


def _due_fires(schedule: Schedule, facts: Facts) -> Iterator[Line]:
    record = facts.reign.facts.get(facts.flow)
    after = record.planned_until if record is not None and record.planned_until else facts.now
    fire = schedule.trigger.next_after(after)
    if fire is None:
        yield line(Reason.NOT_DUE, "its schedule does not fire any more", advice="Set a later one")
        return
    due = due_at(facts.flow, fire, schedule.jitter)
    if due > facts.now:
        put_off = f", put off to {facts.time(due)} by its jitter" if due != fire else ""
        yield line(Reason.NOT_DUE, f"its next fire is at {facts.time(fire)}{put_off}", blocks=False)
    elif facts.leader.leads:
        yield Line(
            None, f"the fire of {facts.time(fire)} is queued with the leader's next step", blocks=False
        )


def _due_windows(schedule: Schedule, facts: Facts) -> Iterator[Line]:
    until, waits = None, False
    if schedule.flow.after is not None:
        upstream = facts.states.get(schedule.flow.after) or FlowState(schedule.flow.after)
        until = covers(upstream, facts.state) or facts.state.planned_until
        waits = upstream.origin is None
    change = plan(facts.state, schedule.trigger, schedule.windows, now=facts.now, until=until)
    coming = _next_end(facts.state if waits else change.state, schedule)
    if until is not None and coming is not None and until < coming <= facts.now:
        covered = "which has not begun" if waits else f"which covers up to {facts.time(until)}"
        text = f"its window up to {facts.time(coming)} waits for {schedule.flow.after!r}, {covered}"
        yield line(Reason.WAITS_FOR_UPSTREAM, text)
    elif waits and until is None:
        yield line(Reason.WAITS_FOR_UPSTREAM, f"{schedule.flow.after!r}, after which it comes, has not begun")
    elif change.queue:
        if facts.leader.leads:
            first = facts.span(change.queue[0])
            text = f"{counted(len(change.queue), 'window')} from {first} on {are(len(change.queue))} queued with the leader's next step"
            yield Line(None, text, blocks=False)
    else:
        yield _no_window(change, coming, facts)


def _no_window(change: Change, coming: datetime | None, facts: Facts) -> Line:
    """Why no window is queued."""
    if change.reason == Reason.STRICT_ORDER:
        return line(Reason.STRICT_ORDER, _gap(change, facts))
    if change.reason == Reason.QUEUE_FULL:
        waiting = sum(run.queued for run in facts.state.live)
        return line(Reason.QUEUE_FULL, f"more windows are due, and {waiting} of them wait already")
    if coming is None:
        return line(Reason.NOT_DUE, "its schedule does not fire any more", advice="Set a later one")
    return line(Reason.NOT_DUE, f"its next window ends at {facts.time(coming)}", blocks=False)


def _next_end(state: FlowState, schedule: Schedule) -> datetime | None:
    until = state.planned_until
    return schedule.trigger.next_after(until) if until is not None else None


def _gap(change: Change, facts: Facts) -> str:
    """The first stretch that is not settled, which holds back all later ones."""
    state = change.state
    if state.origin is None or state.planned_until is None or state.origin >= state.planned_until:
        return ""
    unsettled = state.ledger.unsettled(Window(state.origin, state.planned_until))
    if not unsettled:
        return ""
    first = unsettled[0]
    live = overlaps_live(facts.state, first)
    failed = bool(state.ledger.marked(first, (Mark.FAILED,)))
    why = f"run {live.run} works on it" if live else "it failed" if failed else "nobody works on it"
    return f"in strict order the window {facts.span(first)} comes first, and {why}"


def _backfills(facts: Facts) -> Iterator[Line]:
    mine = [one for one in facts.reign.backfills.values() if one.flow == facts.flow]
    for backfill in mine[:SHOWN]:
        left = len(backfill.windows) - backfill.position
        if backfill.state == "paused":
            text = f"backfill {backfill.id} is paused with {counted(left, 'window')} left"
            yield line(Reason.PAUSED, text, advice=f"piko-flow backfill resume {backfill.id}")
            continue
        live = overlaps_live(facts.state, backfill.windows[backfill.position]) if left else None
        if live is not None and live.origin != f"backfill {backfill.id}":
            text = f"backfill {backfill.id} waits for run {live.run}, which works on its next window"
            yield line(Reason.LIVE_WINDOW, text, advice="")


def _failed(facts: Facts) -> Iterator[Line]:
    gaps = facts.state.gaps()
    if gaps:
        text = f"{gaps_told(gaps, facts.times)}: failed or cancelled"
        advice = f"piko-flow backfill plan {facts.flow} START..END --kind gap, or run retry"
        yield Line(None, text, advice, blocks=False)


def _last(facts: Facts) -> Iterator[Line]:
    last = facts.last
    if last is not None and last.id not in facts.reign.live and last.status is not RunStatus.SUCCESS:
        for told in explain_run(last, facts):
            yield Line(told.reason, f"its last run, {last.id}: {told.text}", told.advice, blocks=False)
