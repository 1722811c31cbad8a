"""Where units run: the seam, and the engine that runs them in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from piko_flow.dataflow.graph.origin import caller
from piko_flow.dataflow.plan.layout import Unit
from piko_flow.dataflow.plan.plan import Plan
from piko_flow.dataflow.reports.observer import Observer
from piko_flow.dataflow.reports.tally import EdgeTally, OperatorTimes, StageTally
from piko_flow.dataflow.running.error_policy import Budget
from piko_flow.dataflow.running.task_group import task_group
from piko_flow.dataflow.running.thread_pool import ThreadPool
from piko_flow.dataflow.running.unit import run_unit
from piko_flow.dataflow.running.unit_state import Host, Intake, UnitState
from piko_flow.dataflow.stages.cpu import CpuMap
from piko_flow.dataflow.stages.resource import ResourcePool, RunInfo
from piko_flow.dataflow.stages.sink import Staging
from piko_flow.dataflow.workers.pool import WorkerPool
from piko_flow.dataflow.workers.shipping import pack
from piko_flow.errors import PipelineError, ResourceFailed, describe_error


@dataclass
class Counts:
    """Counts of one unit at one moment."""

    tallies: list[StageTally]
    times: list[OperatorTimes]
    edges: list[EdgeTally]


@dataclass
class EngineContext:
    """What an engine is handed besides the plan, and what it reports to.

    `watched` holds a function for each unit in work that gives its counts now. `done` gets each result
    before the engine goes on to the next unit. `leftovers` gets the names of threads that did not end.
    """

    info: RunInfo
    observer: Observer
    budget: Budget
    intake: Intake
    units: int
    done: Any
    pool: WorkerPool | None = None
    resources: ResourcePool | None = None
    staging: Staging | None = None
    watched: dict[str, Any] = field(default_factory=dict)
    leftovers: list[str] = field(default_factory=list)
    workers: dict[str, int] = field(default_factory=dict)


class Engine(Protocol):
    """Runs the units of a plan.

    Every unit goes through `run_unit`. `context.done(result)` is awaited for each unit that ended. The first
    error of a unit cancels the others and is raised when none of them runs any more. When the intake closes
    no further unit begins and those in work read no more.
    """

    def check(self, plan: Plan) -> None:
        """Refuse, with PipelineError, a plan that this engine cannot run; called when planning."""
        ...

    async def run(self, plan: Plan, units: Sequence[Unit], context: EngineContext) -> None: ...


class LocalEngine:
    """Runs units in this process, on the loop of the run, `parallel` at a time (default one after the other)."""

    def __init__(self, parallel: int = 1) -> None:
        if isinstance(parallel, bool) or not isinstance(parallel, int) or parallel < 1:
            raise PipelineError(
                what="LocalEngine",
                where=str(caller()),
                rule="parallel must be a whole number of at least 1",
                got=f"got {parallel!r}",
            )
        self.parallel = parallel

    def check(self, plan: Plan) -> None:
        """Every plan can run here."""

    async def run(self, plan: Plan, units: Sequence[Unit], context: EngineContext) -> None:
        """Run the units in order; see Engine."""
        waiting = list(reversed(units))
        async with open_host(plan, context) as host, task_group() as group:
            for number in range(min(self.parallel, len(units))):
                group.create_task(self._work(plan, waiting, host, context), name=f"units {number + 1}")

    async def _work(self, plan: Plan, waiting: list[Unit], host: Host, context: EngineContext) -> None:
        while waiting and not context.intake.closed:
            unit = waiting.pop()
            watch: list[UnitState] = []
            context.watched[unit.id] = lambda watch=watch: counts_of(watch)
            result = await run_unit(plan, unit, host, units=context.units, watch=watch)
            await context.done(result)
            del context.watched[unit.id]  # of a unit that failed the last counts stay, for the report


@asynccontextmanager
async def open_host(plan: Plan, context: EngineContext) -> AsyncIterator[Host]:
    """Open in this process what the plan's stages share; functions that cannot travel are refused here.

    How the block ends is how the run ends: a resource that swallows the error, or fails while it closes, does
    not hide it. Raises ResourceFailed when the block was well and closing was not.
    """
    failure: BaseException | None = None
    opened = False
    try:
        async with _open(plan, context) as host:
            opened = True
            try:
                yield host
            except BaseException as error:
                failure = error
                raise
    except BaseException as closing:
        if not opened or (failure is None and not isinstance(closing, Exception)):
            raise
        if failure is None:
            raise ResourceFailed(run=context.info.run, cause=closing) from closing
        if closing is not failure:
            context.leftovers.append(f"a resource that did not close ({describe_error(closing)})")
    if failure is not None:
        raise failure


@asynccontextmanager
async def _open(plan: Plan, context: EngineContext) -> AsyncIterator[Host]:
    async with AsyncExitStack() as stack:
        threads = ThreadPool()
        stack.callback(lambda: context.leftovers.extend(threads.leftovers))
        await stack.enter_async_context(threads)
        host = Host(
            context.info,
            context.observer,
            context.budget,
            context.intake,
            stack,
            threads,
            resource_pool=context.resources,
            staging=context.staging,
        )
        cpu = [box for box in plan.graph.boxes if isinstance(box.stage, CpuMap)]
        for box in cpu:
            assert isinstance(box.stage, CpuMap)
            host.shipments[box.number] = pack(box.stage.function, stage=box.name, where=str(box.stage.origin))
        if cpu:
            pool = context.pool
            if pool is None:
                pool = await stack.enter_async_context(WorkerPool(_workers(cpu)))
            host.pool = pool
            stack.callback(_note_workers, pool, context.workers)
            for shipment in host.shipments.values():
                await pool.prove(shipment)
        yield host


def _workers(cpu: list[Any]) -> int | None:
    """As many workers as the stage that wants most; None, one for each core, if any stage left it open."""
    wanted = [box.stage.workers for box in cpu]
    return None if None in wanted else max(wanted)


def _note_workers(pool: WorkerPool, workers: dict[str, int]) -> None:
    workers.update(spawned=pool.spawned, replaced=pool.replaced)


def counts_of(watch: list[UnitState]) -> Counts | None:
    """The counts at this moment of the unit in `watch`; None while it has not begun."""
    if not watch:
        return None
    return Counts(watch[0].tallies_now(), watch[0].times_now(), watch[0].edges())
