"""Piko Flow's control half, measured through one replica's service."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from statistics import median
from time import perf_counter

from piko_flow.control.flows.registry import Registry
from piko_flow.control.flows.run_context import RunContext
from piko_flow.control.operations.plane import ControlPlane
from piko_flow.control.operations.plane_backfills import BackfillRequest
from piko_flow.control.options import ReplicaOptions
from piko_flow.control.service import ControlService
from piko_flow.planning.catch_up import WindowPolicy, plan
from piko_flow.planning.cron import Cron
from piko_flow.planning.flow_state import FlowState
from piko_flow.planning.interval import Interval
from piko_flow.planning.run_state import RunStatus
from piko_flow.planning.window import BackfillPolicy, Window
from piko_flow.store.records import NewRun, ScheduleRecord
from tests.benchmarks.control_ours import ControlHalf, DueAtOnce, Reconciled, Statements
from tests.benchmarks.control_service import (
    every_year,
    nothing,
    registry_of,
    replica_of,
    serving,
    until,
)
from tests.benchmarks.control_stall import Stall, watching
from tests.databases.stored import stored

QUIET = ReplicaOptions(
    slots=100, drain=timedelta(seconds=1), reconcile_every=timedelta(hours=1), runs_kept=None
)
SETTLED = 2.0  # seconds for a replica to begin before its fires count
SPARE = 50  # slots beyond those in flight: a slot is free only when the end has been told, and no lane is to find none
NEVER = '{"cron": "0 0 29 2 *"}'


class PikoFlow(ControlHalf):
    """Piko Flow's control half."""

    def prepare(self, url: str) -> None:
        async def prepared() -> None:
            async with stored(url):
                pass

        asyncio.run(prepared())

    async def empty_runs(self, url: str, *, count: int, in_flight: int) -> float:
        registry = registry_of(["empty"], schedule=every_year(), max_instances=in_flight + SPARE)
        async with serving(url, registry, slots=in_flight + SPARE) as service:
            return await service.call(lambda plane: runs_through(plane, count, in_flight))

    async def due_to_start(self, url: str, *, each_second: int, seconds: int, together: bool) -> list[float]:
        late: list[tuple[datetime, float]] = []

        async def job(run: RunContext) -> None:
            late.append((run.scheduled_time, (datetime.now(UTC) - run.scheduled_time).total_seconds()))

        async with stored(url):  # makes the tables, which takes a server seconds
            pass
        begin = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=SETTLED + 2)
        end = begin + timedelta(seconds=seconds)
        registry: Registry = Registry()
        for number in range(each_second):
            offset = timedelta(0) if together else timedelta(seconds=number / each_second)
            trigger = Interval(
                seconds=1, start_date=begin + offset, end_date=end + offset - timedelta(microseconds=1)
            )
            registry_of([f"due {number}"], job, schedule=trigger, registry=registry)
        async with serving(url, registry, options=QUIET):
            await until(lambda: _said(len(late) >= each_second * seconds), within=seconds + 30)
        return [seconds_late for _, seconds_late in late]

    async def due_at_once(self, url: str, *, rows: int) -> DueAtOnce:
        done: list[float] = []

        async def job(run: RunContext) -> None:
            done.append(perf_counter())

        registry = registry_of([f"once {number}" for number in range(rows)], job)
        due = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=20)
        expression = f'{{"run_date": "{due.isoformat()}"}}'
        async with stored(url) as store:
            await store.add_schedules([ScheduleRecord(name, "date", expression) for name in registry])
        async with serving(url, registry, options=QUIET) as service:
            assert datetime.now(UTC) < due - timedelta(seconds=2), "the rows were not read in time"
            await asyncio.sleep((due - datetime.now(UTC)).total_seconds() - 1)
            begin = perf_counter() + 1
            stall = await _watched(service, lambda: until(lambda: _said(len(done) >= rows), within=120))
            assert await service.call(lambda plane: _succeeded(plane)) == rows
        return DueAtOnce(max(done) - begin, stall)

    async def reconcile(self, url: str, *, rows: int) -> Reconciled:
        registry = registry_of(f"row {number}" for number in range(rows))
        async with stored(url) as store:
            await store.add_schedules([ScheduleRecord(name, "cron", NEVER) for name in registry])
        async with serving(url, registry, options=QUIET) as service:
            return await service.call(_reconciled)

    async def idle_queries(self, url: str, *, flows: int, seconds: int) -> float:
        registry = registry_of((f"idle {number}" for number in range(flows)), schedule=every_year())
        async with serving(url, registry) as service:
            await asyncio.sleep(SETTLED)
            return await service.call(lambda plane: _sent(plane, seconds)) / seconds

    async def statements_per_run(self, url: str, *, count: int, in_flight: int) -> Statements:
        registry = registry_of(["empty"], schedule=every_year(), max_instances=in_flight + SPARE)
        registry_of(["alone"], schedule=Interval(seconds=1), registry=registry)
        async with serving(url, registry, slots=in_flight + SPARE) as service:
            return await service.call(lambda plane: _counted(plane, count, in_flight))

    async def takeover(self, url: str) -> float:
        leader, other = _process(url), _process(url)
        try:
            assert leader.stdout is not None
            assert other.stdout is not None
            first, second = leader, other
            if await asyncio.to_thread(_first_line, leader) != "leads":
                raise AssertionError("the first process never led")
            first.send_signal(signal.SIGKILL)
            begin = perf_counter()
            assert await asyncio.to_thread(_first_line, second) == "leads"
            return perf_counter() - begin
        finally:
            for process in (leader, other):
                process.kill()
                process.wait()

    async def backfill(self, url: str, *, windows: int) -> float:
        registry = registry_of(
            ["small"],
            schedule=Interval(minutes=1),
            stateful=True,
            backfill=BackfillPolicy.SKIP,
            max_instances=100,
        )
        async with serving(url, registry, options=QUIET) as service:
            return await service.call(lambda plane: _backfilled(plane, windows))

    def plan_year(self, *, flows: int) -> float:
        begin, now = datetime(2025, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)
        trigger = Cron("0 * * * *", zone="Europe/Berlin")
        policy = WindowPolicy(backfill=BackfillPolicy.CATCH_UP, queued=10_000)
        started = perf_counter()
        for number in range(flows):
            state = FlowState(f"flow {number}", origin=begin, planned_until=begin, schedule=trigger.identity)
            assert len(plan(state, trigger, policy, now=now).queue) == 8760
        return perf_counter() - started


async def _said(true: bool) -> bool:
    return true


async def runs_through(plane: ControlPlane, count: int, in_flight: int) -> float:
    """Queue runs of "empty" with the leader's steps, so many at once, until all have ended and are recorded."""
    replica, numbers = replica_of(plane), iter(range(count))
    label = datetime.now(UTC).isoformat()

    async def lane() -> None:
        for number in numbers:
            wanted = NewRun("empty", replica.time.now(), f"{label}:{number}", origin="trigger")
            done, run = await replica.queue(wanted)
            assert done
            assert run is not None
            await replica.end_of(run.id)

    begin = perf_counter()
    await asyncio.gather(*(lane() for _ in range(in_flight)))

    async def ended() -> bool:  # a lane whose run had to wait for a slot has gone on without its end
        return not [run for run in await plane.store.live() if run.flow == "empty"]

    await until(ended, within=60)
    seconds = perf_counter() - begin
    assert await _succeeded(plane) >= count
    return seconds


async def _succeeded(plane: ControlPlane) -> int:
    """How many runs of registered flows are SUCCESS in the table."""
    succeeded = 0
    for flow in plane.registry:
        if len(plane.registry) > 100:
            break
        statuses = await plane.store.last_statuses(flow, 1_000_000)
        assert set(statuses) <= {RunStatus.SUCCESS}
        succeeded += len(statuses)
    else:
        return succeeded
    assert not await plane.store.live()
    return sum([len(await plane.store.last_statuses(flow, 10)) for flow in plane.registry])


async def _watched(service: ControlService, work: Callable[[], Awaitable[None]]) -> float:
    """Do the work; gives the longest stall of the two loops of the service meanwhile, in seconds."""
    stalls: list[Stall] = []
    stop = threading.Event()

    async def watch() -> None:
        async with watching() as stall:
            stalls.append(stall)
            while not stop.is_set():  # noqa: ASYNC110  # two loops watch for it, and an Event belongs to one
                await asyncio.sleep(0.05)

    runs = service.runs_thread
    watches = [
        asyncio.ensure_future(service.call(lambda _: watch())),
        asyncio.ensure_future(runs.call(watch)),
    ]
    await work()
    stop.set()
    await asyncio.gather(*watches)
    return max(stall.longest for stall in stalls)


async def _reconciled(plane: ControlPlane) -> Reconciled:
    replica = replica_of(plane)
    reconciler, reign = replica.reconciler, replica.reign
    assert reconciler is not None
    assert reign is not None
    await reconciler.poll()
    polls = []
    for _ in range(7):  # the replica's own ticks may fall into one
        before, begin = plane.store.statements, perf_counter()
        assert not await reconciler.poll()
        polls.append((perf_counter() - begin, plane.store.statements - before))
    unchanged, queries = median(seconds for seconds, _ in polls), min(sent for _, sent in polls)
    row = next(row for row in await plane.store.schedules() if row.flow == "row 77")
    await plane.store.set_schedule(replace(row, max_instances=7))
    begin = perf_counter()
    assert await reconciler.poll()
    changed = perf_counter() - begin
    assert reign.instances("row 77") == 7
    return Reconciled(unchanged, queries, changed)


async def _sent(plane: ControlPlane, seconds: float) -> int:
    before = plane.store.statements
    await asyncio.sleep(seconds)
    return plane.store.statements - before


async def _counted(plane: ControlPlane, count: int, in_flight: int) -> Statements:
    before = plane.store.statements
    await runs_through(plane, count, in_flight)
    loaded = (plane.store.statements - before) / count
    replica, lone, fires = replica_of(plane), 0, 5
    await plane.pause("alone")
    idle = await _sent(plane, fires)
    await plane.resume("alone")
    await asyncio.sleep(SETTLED)
    before, runs = plane.store.statements, len(await plane.store.last_statuses("alone", 1000))
    await asyncio.sleep(fires)
    more = len(await plane.store.last_statuses("alone", 1000)) - runs
    lone = plane.store.statements - before - 2 - idle
    assert replica.leads
    assert more >= fires - 1
    return Statements(loaded, lone / more)


async def _backfilled(plane: ControlPlane, windows: int) -> float:
    replica = replica_of(plane)
    await until(lambda: _planned(plane), within=30)
    state = (await plane.store.states(["small"]))["small"]
    assert state.origin is not None
    span = Window(state.origin - windows * timedelta(minutes=1), state.origin)
    request = BackfillRequest(flow="small", span=span, kind="all", concurrency=100)
    planned = await plane.plan_backfill(request)
    assert len(planned.windows) == windows
    begin = perf_counter()
    await plane.apply_backfill(request, digest=planned.digest)
    replica.look_at_rows()

    async def settled() -> bool:
        return (await plane.store.states(["small"]))["small"].ledger.is_settled(span)

    await until(settled, within=300, every=0.2)
    return perf_counter() - begin


async def _planned(plane: ControlPlane) -> bool:
    state = (await plane.store.states(["small"])).get("small")
    return state is not None and state.origin is not None


def _process(url: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.benchmarks.control_leader", url]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def _first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


__all__ = ["PikoFlow", "nothing"]
