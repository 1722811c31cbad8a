"""What the pages about all flows are made of, read with a number of statements that does not grow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from piko_flow.control.plane import ControlPlane
from piko_flow.control.plane_replicas import LeaderView
from piko_flow.planning.flow_state import FlowState
from piko_flow.store.records import FlowRecord, LetterGroup, RunRecord, ScheduleRecord

LETTER_GROUPS = 1000


@dataclass(frozen=True, slots=True)
class FlowsNow:
    """What is stored of all flows at the store's time `now`, by flow; nothing in it has been judged.

    `names` are those of the code and of the rows, in order. `live` are all queued and running runs, `last` the newest
    run of each flow. `letters` are the open dead letters in groups, `paused_all` is why every schedule is paused.
    """

    now: datetime
    leader: LeaderView
    names: tuple[str, ...]
    rows: Mapping[str, ScheduleRecord]
    records: Mapping[str, FlowRecord]
    last: Mapping[str, RunRecord]
    live: tuple[RunRecord, ...]
    letters: tuple[LetterGroup, ...]
    paused_all: str


@dataclass(frozen=True, slots=True)
class FlowsInDetail:
    """The newest runs of some flows, newest first, and the states of those that have windows."""

    runs: Mapping[str, Sequence[RunRecord]]
    states: Mapping[str, FlowState]


async def flows_now(plane: ControlPlane) -> FlowsNow:
    """Everything that an overview of all flows is made of; eight statements, whatever the number of flows and runs."""
    store, leader = plane.store, await plane.leader()
    rows = {row.flow: row for row in await store.schedules()}
    names = tuple(sorted({*plane.registry, *rows}))
    return FlowsNow(
        now=leader.now,
        leader=leader,
        names=names,
        rows=rows,
        records={record.flow: record for record in await store.flows()},
        last=await store.last_runs(names),
        live=tuple(await store.live()),
        letters=tuple(await store.letter_groups(limit=LETTER_GROUPS)),
        paused_all=await plane.paused_all(),
    )


async def flows_in_detail(plane: ControlPlane, names: Sequence[str], *, runs: int) -> FlowsInDetail:
    """The newest `runs` runs of each of these flows, and what is known of their windows; two statements or so."""
    stateful = [name for name in names if (flow := plane.registry.get(name)) is not None and flow.stateful]
    return FlowsInDetail(
        runs=await plane.store.recent_runs(names, runs),
        states=await plane.store.states(stateful) if stateful else {},
    )
