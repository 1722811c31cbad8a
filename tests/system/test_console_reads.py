"""What the console reads for a page takes as many statements for a few flows and runs as for many."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from piko_flow import Cron, Flow, Registry, RunContext
from piko_flow.clock import SystemClock
from piko_flow.control.operations.plane import ControlPlane
from piko_flow.control.operations.plane_overview import flow_now, flows_in_detail, flows_now
from piko_flow.control.options import ReplicaOptions
from piko_flow.ops.console.run_detail import read_run
from piko_flow.ops.console.sentences import MARKED
from piko_flow.store.batch import Batch
from piko_flow.store.opening import open_store
from piko_flow.store.records import NewRun, ScheduleRecord

DUE = datetime(2026, 3, 10, tzinfo=UTC)


async def job(run: RunContext) -> None: ...


async def filled(url: str, flows: int, runs: int) -> ControlPlane:
    """A plane over so many flows with so many runs each."""
    registry: Registry[Flow] = Registry()
    for number in range(flows):
        Flow.register(f"flow_{number}", job, registry=registry, stateful=True, schedule=Cron("0 3 * * *"))
    store = await open_store(url)
    rows = [ScheduleRecord(name, "cron", '{"cron": "0 3 * * *"}', is_stateful=True) for name in registry]
    await store.add_schedules(rows)
    queued = [
        NewRun(name, DUE + number * timedelta(hours=1), f"run {number}")
        for name in registry
        for number in range(runs)
    ]
    await store.write(Batch("", queue=queued))
    return ControlPlane(store=store, registry=registry, options=ReplicaOptions(), clock=SystemClock())


async def statements(plane: ControlPlane, read: Callable[[ControlPlane], Awaitable[Any]]) -> int:
    before = plane.store.statements
    await read(plane)
    return plane.store.statements - before


READS: dict[str, tuple[Callable[[ControlPlane], Awaitable[Any]], int]] = {
    "overview": (flows_now, 10),
    "details": (lambda plane: flows_in_detail(plane, list(plane.registry), runs=20), 4),
    "flow": (lambda plane: flow_now(plane, "flow_0", runs=20), 14),
    "run": (lambda plane: read_run(plane, 1, times=MARKED), 14),
}


@pytest.mark.parametrize("name", READS)
async def test_a_page_reads_as_much_for_many_flows_as_for_few(
    name: str, database_url: str, sqlite_url: str
) -> None:
    read, most = READS[name]
    few = await filled(f"{sqlite_url}.few" if "sqlite" in database_url else sqlite_url, 2, 1)
    many = await filled(database_url, 40, 10)
    try:
        needed = await statements(many, read)
        assert needed == await statements(few, read)
        assert needed <= most
    finally:
        await few.store.close()
        await many.store.close()
