"""What the pages about all flows are made of, read with a number of statements that does not grow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from piko_flow.control.flows.flow import Flow
from piko_flow.control.flows.flow_health import Health, Judge, Known
from piko_flow.control.flows.told_times import Times
from piko_flow.control.operations.plane import ControlPlane
from piko_flow.control.operations.plane_backfills import BackfillView
from piko_flow.control.operations.plane_part import missing, zone_of
from piko_flow.control.operations.plane_replicas import LeaderView
from piko_flow.planning.flow_state import FlowState
from piko_flow.planning.run_state import RunStatus
from piko_flow.planning.zones import find_zone
from piko_flow.store.records import FlowRecord, RunRecord, ScheduleRecord

BACKFILLS = 5
REPORTS = 3  # ended runs that are asked for a report


@dataclass(frozen=True, slots=True)
class FlowsNow:
    """What is stored of all flows at the store's time `now`, by flow; nothing in it has been judged.

    `names` are those of the code and of the rows, in order. `live` are all queued and running runs, `last` the newest
    run of each flow. `letters` counts open dead letters, `paused_all` is why every schedule is paused, `failing_spools`
    are those of this process whose sink fails, with what it fails with. `params_refused` tells why the newest parameters
    of a flow are not used.
    """

    now: datetime
    leader: LeaderView
    names: tuple[str, ...]
    rows: Mapping[str, ScheduleRecord]
    records: Mapping[str, FlowRecord]
    last: Mapping[str, RunRecord]
    live: tuple[RunRecord, ...]
    letters: Mapping[str, int]
    paused_all: str
    failing_spools: Mapping[str, str] = field(default_factory=dict)
    params_refused: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FlowsInDetail:
    """The newest runs of some flows, newest first, and the states of those that have windows."""

    runs: Mapping[str, Sequence[RunRecord]]
    states: Mapping[str, FlowState]


async def flows_now(plane: ControlPlane) -> FlowsNow:
    """Everything that an overview of all flows is made of; nine statements, whatever the number of flows and runs."""
    store, leader = plane.store, await plane.leader()
    rows = {row.flow: row for row in await store.schedules()}
    names = tuple(sorted({*plane.registry, *rows}))
    # Before the records: a window that ends between the two reads is then taken for one that is worked on, not for a gap.
    live = tuple(await store.live())
    return FlowsNow(
        now=leader.now,
        leader=leader,
        names=names,
        rows=rows,
        records={record.flow: record for record in await store.flows()},
        last=await store.last_runs(names),
        live=live,
        letters=await store.open_letters(),
        params_refused=await store.refused_params(),
        paused_all=await plane.paused_all(),
        failing_spools=plane.failing_spools(),
    )


async def flows_in_detail(plane: ControlPlane, names: Sequence[str], *, runs: int) -> FlowsInDetail:
    """The newest `runs` runs of each of these flows, and what is known of their windows; two statements or so."""
    stateful = [name for name in names if (flow := plane.registry.get(name)) is not None and flow.stateful]
    return FlowsInDetail(
        runs=await plane.store.recent_runs(names, runs),
        states=await plane.store.states(stateful) if stateful else {},
    )


@dataclass(frozen=True, slots=True)
class FlowNow:
    """What is stored of one flow at the store's time `now`.

    `row` is None where it has none. `runs` are its newest, newest first; `report` is what the newest of them that has
    ended left of its stages, and `live` what one that runs shows of them, each with the run and as JSON. `backfills`
    are its own, the newest first. `known` is what it is judged by, and what the flow that it comes after is judged by.
    """

    now: datetime
    name: str
    flow: Flow | None
    row: ScheduleRecord | None
    record: FlowRecord | None
    zone: str
    paused_all: str
    runs: tuple[RunRecord, ...]
    state: FlowState | None
    report: tuple[int, str] | None
    live: tuple[int, str] | None
    letters: int
    backfills: tuple[BackfillView, ...]
    known: Mapping[str, Known]

    @property
    def health(self) -> Health:
        """How it stands; times are told in its zone, with their offset."""
        return self.health_in(Times(find_zone(self.zone)))

    def health_in(self, times: Times) -> Health:
        """The same with times told so."""
        judge = Judge(self.known, now=self.now, paused_all=self.paused_all, times=lambda name: times)
        return judge.health(self.name)


async def flow_now(plane: ControlPlane, name: str, *, runs: int) -> FlowNow:
    """Everything that the page of a flow is made of; a dozen statements, whatever the number of flows and runs.

    Refused when neither the code nor a row knows the flow.
    """
    store, flow = plane.store, plane.registry.get(name)
    names = [name, *plane.upstreams([name])]
    rows = {marked.row.flow: marked.row for marked in await store.marked_schedules(names)}
    if flow is None and name not in rows:
        missing(f"show flow {name!r}", "a flow is registered or has a row", plane.registry.unknown(name))
    now, paused_all = await plane.now(), await plane.paused_all()
    newest = await store.recent_runs(names, runs)
    last = {flow: found[0] for flow, found in newest.items() if found}
    zone = zone_of(rows.get(name), plane.options.zone)
    known = await plane.known_flows(names, rows, now, paused_all, last=last)
    recent = tuple(newest.get(name, ()))
    running = [run.id for run in recent if run.status is RunStatus.RUNNING]
    shown = await store.shown_live(running) if running else {}
    live = max(shown, default=None)
    mine = known[name]
    backfills = (await store.backfills(flow=name))[::-1][:BACKFILLS]
    return FlowNow(
        now=now,
        name=name,
        flow=flow,
        row=rows.get(name),
        record=mine.record,
        zone=zone,
        paused_all=paused_all,
        runs=recent,
        state=mine.state,
        report=await _report(plane, recent),
        live=None if live is None else (live, shown[live][1]),
        letters=mine.letters,
        backfills=tuple([BackfillView(one, await store.backfill_counts(one.id), zone) for one in backfills]),
        known=known,
    )


async def _report(plane: ControlPlane, runs: Sequence[RunRecord]) -> tuple[int, str] | None:
    """The report of the newest run that has ended and left one, of the newest few."""
    ended = [run.id for run in runs if run.status in (RunStatus.SUCCESS, RunStatus.FAILED)]
    for number in ended[:REPORTS]:
        found = await plane.store.reports(number)
        reports = {attempt: text for attempt, text in found.items() if '"stages":' in text}
        if reports:  # one of a failure alone shows no stages
            return number, reports[max(reports)]
    return None
