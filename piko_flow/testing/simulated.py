"""Testing one's own flows: days of schedules in simulated time, with the real functions, in an instant."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

from piko_flow.control.flows.flow import Flow, default_registry
from piko_flow.control.flows.registry import Registry
from piko_flow.control.operations.plane import ControlPlane
from piko_flow.control.options import ReplicaOptions
from piko_flow.control.runs.emitting import Writer
from piko_flow.control.runs.run_order import RunTools
from piko_flow.dataflow.stages.resource_host import ResourcePool
from piko_flow.dataflow.workers.pool import WorkerPool
from piko_flow.planning.flow_state import FlowState
from piko_flow.store.protocols import RunStore
from piko_flow.store.records import RunRecord
from piko_flow.testing.executed_runs import ExecutedRuns, sleep_by
from piko_flow.testing.manual_clock import START
from piko_flow.testing.simulated_checks import check_leaders
from piko_flow.testing.simulated_flows import UNHURRIED
from piko_flow.testing.simulated_replica import SimulatedReplica, SimulatedRuns
from piko_flow.testing.simulated_world import SimulatedWorld
from piko_flow.testing.simulation import SimulationFailed
from piko_flow.testing.store_faults import Faults

T = TypeVar("T")
BRISK = replace(
    UNHURRIED,
    lease=timedelta(minutes=6),
    renew_every=timedelta(minutes=2),
    alive=timedelta(minutes=8),
    poll_every=timedelta(minutes=1),
    reconcile_every=timedelta(minutes=5),
    prune_every=timedelta(hours=6),
    slots=100,
    pause_after=0,
    group_limits={},
)
"""Replicas of a flow's test poll once a minute; a fire is met at its second all the same."""
PATIENCE = 30.0  # real seconds in which a run that waits for the world outside has to get on


class FlowWorld(SimulatedWorld):
    """Flows that run by their schedules while the test moves time; see `simulated`.

    `store` has all rows: `store.edit(row)` is what a person with a SQL client does. `plane` triggers, retries
    and cancels. `replicas` may be told to `crash(seconds)` and to `pause(seconds)`.
    """

    def __init__(self, *, tools: AsyncExitStack, writer: Writer, **world: Any) -> None:
        super().__init__(**world)
        self._stack, self._writer, self._stirred = tools, writer, asyncio.Event()
        self._resources: ResourcePool | None = None
        self._pool: WorkerPool | None = None
        self.plane = ControlPlane(
            store=self.store, registry=self.registry, options=self.options, clock=self.clock
        )

    @property
    def now(self) -> datetime:
        """The world's present, in UTC."""
        return self.clock.now()

    async def _open(self) -> None:
        """Open what the runs share, and begin with the replicas."""
        self._resources = await self._stack.enter_async_context(ResourcePool())
        self._pool = await self._stack.enter_async_context(WorkerPool())
        await self._stack.enter_async_context(self._writer)
        await self._stack.enter_async_context(self)

    async def advance(
        self, *, days: float = 0, hours: float = 0, minutes: float = 0, seconds: float = 0
    ) -> None:
        """Let so much time pass; what falls due on the way runs, and has ended unless it sleeps longer.

        Raises SimulationFailed when something happened that must not, whatever flows do, and AssertionError
        when a run neither ends nor sleeps by `sleep` for half a minute of real time.
        """
        span = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
        await self.advance_to(self.clock.now() + span)

    async def advance_to(self, instant: datetime) -> None:
        """Let time pass up to the instant; see `advance`."""
        if instant < self.clock.now():
            raise ValueError(f"time does not go back: it is {self.clock.now()}, asked for was {instant}")
        await self.run_until(instant)
        if self.journal.violations:
            raise SimulationFailed(0, self.journal.violations, self.journal.lines)

    async def sleep(self, seconds: float) -> None:
        """Sleep by the world's clock; for functions of flows that are to take time."""
        await sleep_by(self.clock, seconds, self._stirred.set)

    def runs(self, flow: str | None = None) -> list[RunRecord]:
        """All runs, or those of a flow, oldest first."""
        return [run for run in self.store._rows.runs.values() if flow in (None, run.flow)]

    def state(self, flow: str) -> FlowState:
        """What is known of a stateful flow's windows: its ledger, its watermark, its gaps."""
        return self.store._rows.state(flow)

    def _after_step(self) -> None:
        """Look whether two lead."""
        check_leaders(self)

    async def _wait_outside(self) -> bool:
        """Wait for runs that wait for something real: a thread, a process, a socket."""
        awake = [name for replica in self.replicas for name in self._runs_of(replica).awake()]
        if not awake or any(replica.paused_until for replica in self.replicas):
            return False
        self._stirred.clear()
        try:
            async with asyncio.timeout(PATIENCE):
                await self._stirred.wait()
        except TimeoutError:
            raise AssertionError(
                f"{', '.join(awake)} did not end within {PATIENCE:g} real seconds, nor sleep by world.sleep()"
            ) from None
        return True

    def _new_runs(self, replica: SimulatedReplica) -> SimulatedRuns:
        """The functions of the flows."""

        async def ask(question: Callable[[RunStore], Awaitable[T]]) -> T:
            return await question(replica.way)

        tools = RunTools(
            ask=ask,
            clock=replica.clock,
            ledger=self.store.url,
            resources=self._resources,
            pool=self._pool,
            writer=self._writer,
        )
        return ExecutedRuns(tools, replica.report, replica.replica.worker.ended, self._stirred)

    def _runs_of(self, replica: SimulatedReplica) -> ExecutedRuns:
        runs = replica.runs
        assert isinstance(runs, ExecutedRuns)
        return runs


@asynccontextmanager
async def simulated(
    registry: Registry[Flow] | None = None,
    *,
    start: datetime = START,
    zone: str = "UTC",
    replicas: int = 1,
    faults: Faults | None = None,
    sinks: Mapping[str, Any] | None = None,
    options: ReplicaOptions = BRISK,
    seed: int = 0,
) -> AsyncIterator[FlowWorld]:
    """A world in which the flows of the registry (`default_registry` without one) run by their schedules.

    It stands at `start` until the test moves it. `zone` is that of schedule rows that name none. `sinks` are
    what `emit(..., to=name)` reaches. With several `replicas` and `faults` the order of things is drawn from
    `seed`. Runs execute the functions of the flows on this loop; they take no time of the world, but for what they
    sleep by `world.sleep`. Three days of nights::

        async with simulated(registry, start=datetime(2026, 3, 28, tzinfo=UTC)) as world:
            await world.advance(days=3)
            assert [run.status for run in world.runs("nightly")] == ["SUCCESS"] * 3
    """
    writer = Writer()
    for name, sink in (sinks or {}).items():
        writer.register(name, sink)
    async with AsyncExitStack() as tools:
        world = FlowWorld(
            tools=tools,
            writer=writer,
            registry=default_registry if registry is None else registry,
            options=replace(options, zone=zone),
            start=start,
            replicas=replicas,
            draws=random.Random(seed),
            faults=faults,
        )
        await world._open()
        yield world
