"""What a unit is given: the facts of its run, whom it reports to, and what its process has open for it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, cast

from piko_flow.dataflow.commit.commit import Budget
from piko_flow.dataflow.graph.boxes import Box
from piko_flow.dataflow.plan.plan import Plan
from piko_flow.dataflow.reports.observer import Observer
from piko_flow.dataflow.running.thread_pool import ThreadPool
from piko_flow.dataflow.stages.cpu import CpuMap
from piko_flow.dataflow.stages.resource import RunInfo
from piko_flow.dataflow.stages.resource_host import ResourceHost, ResourcePool, open_all
from piko_flow.dataflow.stages.sink import Staging
from piko_flow.dataflow.workers.pool import WorkerPool
from piko_flow.dataflow.workers.shipping import Shipment, pack
from piko_flow.errors import CallCancelled, ResourceFailed, describe_error
from piko_flow.tasks import CANCEL_GRACE_SECONDS, TaskGroup

STEPS: Final = (
    2  # of a unit's teardown, each with the bound of its own: its stages end, its parts are aborted
)


class Intake:
    """The tap of a run, closed by a drain. Who waits for input registers how to be interrupted."""

    def __init__(self) -> None:
        self.closed = False
        self._interrupts: list[Callable[[], None]] = []

    def close(self) -> None:
        """Read no more; what is inside flows out."""
        if not self.closed:
            self.closed = True
            for interrupt in list(self._interrupts):
                interrupt()

    def on_close(self, interrupt: Callable[[], None]) -> Callable[[], None]:
        """Call `interrupt` when the tap closes; gives the function that forgets it again."""
        self._interrupts.append(interrupt)
        return lambda: self._interrupts.remove(interrupt)


@dataclass
class EngineContext:
    """What an engine hands to the units of a run, and what it reports to.

    `watched` holds a function for each unit in work that gives its counts now. `done` is awaited with each result
    before the engine goes on to the next unit. `leftovers` names what did not end or could not be removed. `pool`
    and `resources` are those that the caller shares between runs; else a stage that leaves its workers open gets one on
    each of so many `cores`, None for all. Without an `observer` nothing is reported.

    `open_context` opens the rest in the process that runs units: `threads`, the `host` of the run's resources, the
    functions of CPU stages packed for their workers, and the `group` of tasks in which the units run.
    """

    info: RunInfo
    observer: Observer | None
    budget: Budget
    intake: Intake
    units: int
    done: Any
    pool: WorkerPool | None = None
    resources: ResourcePool | None = None
    staging: Staging | None = None
    cores: int | None = None
    watched: dict[str, Any] = field(default_factory=dict)
    leftovers: list[str] = field(default_factory=list)
    workers: dict[str, int] = field(default_factory=dict)
    threads: ThreadPool = field(init=False, default_factory=ThreadPool)
    host: ResourceHost = field(init=False, default_factory=ResourceHost)
    group: TaskGroup = field(init=False, default_factory=TaskGroup)
    shipments: dict[int, Shipment] = field(init=False, default_factory=dict)
    rate_limits: dict[int, Any] = field(
        init=False, default_factory=dict
    )  # of each Throttle, by the number of its box

    async def open_resources(self, uses: Mapping[str, Any]) -> dict[str, Any]:
        """Give the resources of a stage by name, opened once a run. Raises what opening one raises."""
        return await open_all(uses, self.info, self.host, self.resources)

    def leave_task(self, name: str) -> None:
        """Note a task that did not end in time."""
        self.leftovers.append(f"task {name!r}, which did not end in time when it was cancelled")


@asynccontextmanager
async def open_context(plan: Plan, context: EngineContext) -> AsyncIterator[TaskGroup]:
    """Open in this process what the plan's stages share, and give the group of tasks in which its units run.

    How the block ends is how the run ends: a resource that swallows its error, or fails while it closes, does not
    hide it. Raises CannotShip for a function that cannot travel to its workers, and ResourceFailed when a resource
    failed while it was open, or when all was well but its closing.
    """
    failure: BaseException | None = None
    teardown = plan.options.teardown
    async with AsyncExitStack() as stack:
        await _open_pools(plan, context, stack)
        context.group = TaskGroup(
            teardown=STEPS * (teardown + 2 * CANCEL_GRACE_SECONDS), left=context.leave_task
        )
        lost = ResourceFailed(run=context.info.run, cause=CallCancelled())
        host = context.host = ResourceHost()
        host.when_failed = lambda: context.group.fail(lost)
        try:
            async with context.group as group:
                yield group
        except BaseException as error:
            failure = error
        closing = await host.close(None if failure is lost else failure, teardown)
    if failure is lost or (failure is None and closing is not None):
        cause = await host.failure(teardown) if failure is lost else cast(BaseException, closing)
        opening = failure is lost and host.failed_while_opening
        raise ResourceFailed(
            run=context.info.run,
            cause=cause,
            names=host.names,
            while_open=failure is lost and not opening,
            while_opening=opening,
        ) from cause
    if closing is not failure and closing is not None:
        context.leftovers.append(f"a resource that did not close ({describe_error(closing)})")
    if failure is not None:
        raise failure


async def _open_pools(plan: Plan, context: EngineContext, stack: AsyncExitStack) -> None:
    """Open the threads and, where there are CPU stages, their workers; functions that cannot travel are refused."""
    threads = context.threads = ThreadPool()
    stack.callback(lambda: context.leftovers.extend(threads.leftovers))
    await stack.enter_async_context(threads)
    cpu = [box for box in plan.graph.boxes if isinstance(box.stage, CpuMap)]
    if not cpu:
        return
    for box in cpu:
        function = box.stage.function  # type: ignore[attr-defined]  # of a CpuMap
        context.shipments[box.number] = pack(function, stage=box.name, where=str(box.stage.origin))
    if context.pool is None:
        context.pool = await stack.enter_async_context(WorkerPool(_workers(cpu, context.cores)))
    pool, workers = context.pool, context.workers
    stack.callback(lambda: workers.update(spawned=pool.spawned, replaced=pool.replaced))
    for shipment in context.shipments.values():
        await pool.prove(shipment)


def _workers(cpu: list[Box], cores: int | None) -> int | None:
    """As many workers as the stage that wants most; one that left it open gets `cores`, None for one on each core."""
    wanted: list[Any] = [cast(CpuMap[Any, Any], box.stage).workers or cores for box in cpu]
    return None if None in wanted else max(wanted)
