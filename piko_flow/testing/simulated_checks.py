"""What has to hold in a simulated world, at every step and when all has come to rest."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from piko_flow.control.flows.schedule_rows import Schedule, understand
from piko_flow.planning.flow_state import SCHEDULE, FlowState
from piko_flow.planning.ledger import minus
from piko_flow.planning.trigger import fires, last_fire
from piko_flow.planning.window import BackfillPolicy
from piko_flow.store.memory.store import MemoryStore
from piko_flow.store.records import RunRecord

NOTICED = timedelta(minutes=5)  # within this a leader has heard of what happened elsewhere
DRIFT = timedelta(seconds=1)  # what the fastest clock gains in the longest pause
LONG = timedelta(minutes=15)  # longer than a calm run, its wait and a poll take together


def check_leaders(world: Any) -> None:
    """At most one replica trusts its lease at any time; those that stand still count, too."""
    leaders = [replica.name for replica in world.replicas if replica.replica.leadership.leads]
    if len(leaders) > 1:
        world.journal.wrong(f"two leaders: {' and '.join(leaders)} trust their leases at the same time")


async def check_end(world: Any) -> None:
    """All that must hold when everything has gone well for a while."""
    world.journal.check_commits()
    await _check_live(world)
    rows = {row.flow: row for row in await world.store.schedules()}
    states = await world.store.states(list(rows))
    for name, row in rows.items():
        schedule = understand(row, world.registry, world.options.zone)
        if isinstance(schedule, str) or not schedule.active:
            continue
        if schedule.flow.stateful:
            _check_windows(world, schedule, states[name])
        else:
            _check_fires(world, schedule, states[name])
    _check_memory(world)


async def _check_live(world: Any) -> None:
    now, names = world.clock.now(), {replica.name for replica in world.replicas}
    for run in await world.store.live():
        since = run.start_time or run.created_at
        if run.status == "RUNNING" and run.replica not in names:
            world.journal.wrong(
                f"left behind: run {run.id} of {run.flow!r} runs at {run.replica}, which is dead"
            )
        elif since is not None and now - since > LONG:
            world.journal.wrong(
                f"for ever: run {run.id} of {run.flow!r} is {run.status} since {since} ({run.reason})"
            )


def _check_windows(world: Any, schedule: Schedule, state: FlowState) -> None:
    """No window is lost: what the schedule expects is settled or live, unless its run failed or was cancelled."""
    name, journal, now = schedule.flow.name, world.journal, world.clock.now()
    excused = journal.given_up.get(name, set())
    for gap in state.gaps():
        lost = minus([gap], sorted(excused))
        if lost:
            journal.wrong(f"lost: {name!r} has neither settled nor tried {', '.join(map(str, lost))}")
    waits = schedule.flow.after is not None or (schedule.flow.strict_order and state.gaps())
    last = last_fire(schedule.trigger, at=now - 2 * world.options.poll_every)
    if state.planned_until is None or (last is not None and last > state.planned_until and not waits):
        journal.wrong(
            f"not planned: {name!r} is planned until {state.planned_until}, its last fire was {last}"
        )
    if schedule.flow.backfill is BackfillPolicy.CATCH_UP and state.watermark != state.shown:
        journal.wrong(
            f"not shown: the watermark of {name!r} is {state.watermark}, its row says {state.shown}"
        )


def _check_fires(world: Any, schedule: Schedule, state: FlowState) -> None:
    """Each fire is covered by exactly one row; where somebody edited the row, by at most one."""
    name, journal = schedule.flow.name, world.journal
    rows = [run for run in _runs(world.store, name) if run.origin == SCHEDULE]
    covered = sorted((run.first_fire or run.scheduled_time, run.scheduled_time, run.id) for run in rows)
    for (_, end, first), (start, _, second) in pairwise(covered):
        if start <= end:
            journal.wrong(f"twice: runs {first} and {second} of {name!r} stand for the same fire")
    for run in rows:
        if run.created_at is not None and run.created_at < run.scheduled_time - DRIFT:
            journal.wrong(
                f"early: run {run.id} of {name!r} was queued before its fire at {run.scheduled_time}"
            )
    if name in world.edited:
        return
    if state.planned_until is None:
        journal.wrong(f"not planned: {name!r} was never planned")
        return
    expected = set()
    for fire in fires(schedule.trigger, after=journal.began[name]):
        if fire > world.clock.now() - 2 * world.options.poll_every:
            break
        expected.add(fire)
    missing = [
        fire for fire in sorted(expected) if not any(start <= fire <= end for start, end, _ in covered)
    ]
    if missing:
        journal.wrong(f"lost: no row of {name!r} stands for {', '.join(map(str, missing[:5]))}")


def _check_memory(world: Any) -> None:
    """What replicas remember is what the store has, and no slot is kept for nobody."""
    rows = world.store._rows
    for replica in world.replicas:
        worker = replica.replica.worker
        if worker._reserved and not replica.busy:
            world.journal.wrong(f"slots: {replica.name} keeps {worker._reserved} slots for nobody")
        reign = replica.replica.reign
        if reign is not None and replica.replica.leads:
            different = reign.live.keys() ^ (rows.queued.keys() | rows.running.keys())
            stale = sorted(run for run in different if world.clock.now() - _changed(rows.runs[run]) > NOTICED)
            if stale:
                world.journal.wrong(f"memory: the leader {replica.name} is wrong about runs {stale}")


def _changed(run: RunRecord) -> datetime:
    """When the run was last queued, claimed or ended."""
    times = (run.created_at, run.start_time, run.end_time)
    return max(time for time in times if time is not None)


def _runs(store: MemoryStore, flow: str) -> list[RunRecord]:
    return [store._rows.runs[number] for number in store._rows.of_flow.get(flow, {})]
