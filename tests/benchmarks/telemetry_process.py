"""The process in which telemetry is measured: `python -m tests.benchmarks.telemetry_process WHAT HOW`; prints seconds.

HOW is on, off, or spans where an OTEL_* variable says who gets them.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

from piko_flow import Filter, Flow, Registry, Sink, Source, Transform
from piko_flow.clock import SystemClock, now
from piko_flow.control.runs.execution import RunOrder, RunTools
from piko_flow.control.runs.executions import Executions
from piko_flow.control.runs.outcome import Outcome
from piko_flow.control.runs.run_details import RunDetails
from piko_flow.control.watched import Watched
from piko_flow.control.watching import watched_by, watching
from piko_flow.ops.metrics import MetricsPage
from piko_flow.planning.run_state import RunStatus
from piko_flow.store.batch import Batch
from piko_flow.store.memory.store import MemoryStore
from piko_flow.store.records import NewRun
from piko_flow.telemetry.providers import Providers
from tests.benchmarks.control_piko_flow import SPARE, runs_through
from tests.benchmarks.control_service import every_year, registry_of, serving
from tests.benchmarks.fused_chain import ITEMS, SUMS
from tests.benchmarks.jobs import Total, add_one, double, less_three, not_a_third

RUNS, IN_FLIGHT = 5000, 100
FLOWS, STAGES = 1000, 3


@asynccontextmanager
async def telemetry(how: str) -> AsyncIterator[Watched]:
    """What an application has around its runs, or nothing."""
    if how == "off":
        yield Watched()
        return
    providers = Providers(service="benchmark", version="0", environ=os.environ if how == "spans" else {})
    assert providers.registry is not None
    page = MetricsPage(providers.registry)
    await page.get("")
    async with watching(providers, level="INFO"):
        fresh = asyncio.create_task(page.keep_fresh())
        yield watched_by(providers)
        fresh.cancel()
        await asyncio.wait([fresh])


async def empty_runs(how: str) -> float:
    """So many runs of a job that does nothing, through one replica on SQLite."""
    registry = registry_of(["empty"], schedule=every_year(), max_instances=IN_FLIGHT + SPARE)
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite+aiosqlite:///{Path(folder) / 'piko.db'}"
        async with (
            telemetry(how) as watched,
            serving(url, registry, slots=IN_FLIGHT + SPARE, watched=watched) as service,
        ):
            return await service.call(lambda plane: runs_through(plane, RUNS, IN_FLIGHT))


async def chain(how: str, timer: Callable[[], float] = perf_counter) -> float:
    """The million-item chain as a run of a flow, timed by `timer`."""
    total, clock = Total(), SystemClock()
    pipeline = (
        Source(range(ITEMS))
        >> Transform(add_one)
        >> Transform(double)
        >> Transform(less_three)
        >> Filter(not_a_third)
        >> Sink(total.add)
    )
    registry: Registry[Flow] = Registry()
    flow = Flow.register("chain", pipeline, registry=registry)
    store = MemoryStore(clock)
    written = await store.write(Batch("a", queue=[NewRun("chain", now(), "one", claim=True)]))
    record = written.queued[0]
    assert record is not None

    async def ask(question: Callable[[Any], Awaitable[Any]]) -> Any:
        return await question(store)

    tools, ended = RunTools(ask=ask, clock=clock, ledger=store.url), asyncio.Future[Outcome]()
    async with AsyncExitStack() as stack:
        if how != "off":
            watched = await stack.enter_async_context(telemetry(how))
            details = RunDetails(
                ask=ask, clock=clock, replica="a", figures=watched.figures, spans=watched.spans
            )
            tools = replace(tools, details=await stack.enter_async_context(details))
        executions = Executions(tools, lambda run, outcome: ended.set_result(outcome))
        await stack.enter_async_context(executions)
        began = timer()
        executions.start([RunOrder(record, flow)])
        outcome = await ended
        seconds = timer() - began
    assert outcome.status is RunStatus.SUCCESS
    total.check(SUMS[ITEMS])
    return seconds


async def stall(how: str) -> float:
    """The longest time for which a loop stood still while a page of a thousand flows was rendered, or while nothing was."""
    providers = Providers(service="benchmark", version="0", environ={})
    assert providers.registry is not None
    for flow in range(FLOWS):
        providers.figures.run_ended(f"flow {flow}", "SUCCESS", 10)
        for stage in range(STAGES):
            for state in ("in", "out", "filtered"):
                providers.figures.stage_items[f"flow {flow}", f"stage {stage}", state] = 1
            for state in ("busy", "waiting", "blocked"):
                providers.figures.stage_time[f"flow {flow}", f"stage {stage}", state] = 1.5
    page = MetricsPage(providers.registry)
    idle = partial(asyncio.sleep, 0.5)
    rendering = asyncio.create_task(asyncio.to_thread(page.render, "") if how == "on" else idle())
    longest, last = 0.0, perf_counter()
    while not rendering.done():
        await asyncio.sleep(0.001)
        longest, last = max(longest, perf_counter() - last), perf_counter()
    providers.close()
    return longest


if __name__ == "__main__":
    works: dict[str, Callable[[str], Coroutine[Any, Any, float]]] = {
        "empty-runs": empty_runs,
        "chain": chain,
        "chain-work": partial(chain, timer=process_time),  # whatever others do on the processor
        "stall": stall,
    }
    print(asyncio.run(works[sys.argv[1]](sys.argv[2])))
