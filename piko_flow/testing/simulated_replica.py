"""A replica in a simulated world: its steps are taken one by one, it may stand still, and it may die at any await."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from datetime import datetime, timedelta
from typing import Any, Protocol

from piko_flow.control.flows.flow import Flow
from piko_flow.control.flows.registry import Registry
from piko_flow.control.options import ReplicaOptions
from piko_flow.control.replica.replica import Replica
from piko_flow.control.runs.worker import Runs
from piko_flow.errors import StoreUnavailable
from piko_flow.store.memory.store import MemoryStore
from piko_flow.store.protocols import Store
from piko_flow.store.records import ReplicaRecord
from piko_flow.testing.manual_clock import ManualClock
from piko_flow.testing.simulated_clock import SimulatedClock
from piko_flow.testing.simulated_journal import Journal
from piko_flow.testing.simulated_store import StoreWay
from piko_flow.testing.store_faults import Fault, FaultKind, Faults

AGAIN = timedelta(seconds=1)  # after the worker could not reach the store
CRASHES = frozenset({FaultKind.CRASH_BEFORE, FaultKind.CRASH_AFTER})


class SimulatedRuns(Runs, Protocol):
    """Where the runs of a simulated replica are executed."""

    async def close(self) -> None:
        """Stop all runs, and wait for them."""


class World(Protocol):
    """What a replica needs of the world that it is in."""

    clock: ManualClock
    journal: Journal
    faults: Faults

    def travel_time(self) -> float | None:
        """Seconds that a question or an answer takes; None where it is there at once."""
        ...

    def later(self, wait: timedelta, then: Callable[[], None], /) -> None:
        """Call it when so much time has passed."""

    def died(self, replica: SimulatedReplica, seconds: float, /) -> None:
        """The replica is dead; another may take its place after so many seconds."""


class SimulatedReplica:
    """One replica and its four activities, of which each is one task at a time, as with real loops."""

    def __init__(
        self,
        world: World,
        *,
        number: int,
        store: MemoryStore,
        registry: Registry[Flow],
        options: ReplicaOptions,
        clock: SimulatedClock,
    ) -> None:
        self._world, self.clock = world, clock
        self.name = f"replica-{number}"
        record = ReplicaRecord(self.name, f"host-{number}", number, slots=options.slots)
        way: Any = StoreWay(store, self, world.faults, world.journal)  # a Store, by what it hands on
        self.way: Store = way
        self.replica = Replica(store=self.way, registry=registry, record=record, options=options, clock=clock)
        self._poll, self._drain = options.poll_every, options.drain
        self._next_tick = self._next_lead = self._next_work = world.clock.now()
        self._tasks: dict[str, asyncio.Task[Any]] = {}
        self._held: list[tuple[datetime, asyncio.Future[None]]] = []
        self.paused_until: datetime | None = None
        self.dead = self.stopping = False
        self._runs: SimulatedRuns | None = None

    @property
    def runs(self) -> SimulatedRuns:
        """Where its runs are executed."""
        assert self._runs is not None
        return self._runs

    @runs.setter
    def runs(self, runs: SimulatedRuns) -> None:
        self._runs = self.replica.worker.runs = runs

    async def cross(self, call: str, fault: Fault | None, /) -> None:
        """Wait while the replica stands still or the wire is slow; never return when it is dead."""
        if self.dead:
            raise asyncio.CancelledError
        if fault is not None:
            self._world.journal.note(f"{self.name} {call} {fault.kind} for {fault.seconds:.0f} s")
            if fault.kind in CRASHES:
                self.crash(fault.seconds)
            else:
                self.pause(fault.seconds)
        wait = self._world.travel_time()
        if self.dead or self.paused_until is not None or wait is not None:
            held: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._held.append((self._world.clock.now() + timedelta(seconds=wait or 0.0), held))
            await held

    @property
    def busy(self) -> bool:
        """Whether something of it waits for an answer."""
        return bool(self._tasks)

    def pause(self, seconds: float) -> None:
        """Stand still: nothing of it goes on, not even what has been answered."""
        self.paused_until = self._world.clock.now() + timedelta(seconds=seconds)
        self._world.later(timedelta(seconds=seconds), self._resume)

    def _resume(self) -> None:
        if self.paused_until is not None and self.paused_until <= self._world.clock.now():
            self.paused_until = None

    def crash(self, seconds: float) -> None:
        """Die at once: no task of it goes on, its runs are gone, and what it held in memory is lost."""
        self.dead = True
        for task in self._tasks.values():
            task.cancel()
        self._world.died(self, seconds)

    async def gone(self) -> None:
        """Wait until nothing of a dead replica is left."""
        if self._tasks:
            await asyncio.wait(self._tasks.values())
        await self.runs.close()

    def report(self, wait: timedelta, then: Callable[[], None]) -> None:
        """Call it in this replica's process after a while; later when it stands still then, never when it is dead."""

        def arrive() -> None:
            if self.dead:
                return
            if self.paused_until is not None:
                self.report(self.paused_until - self._world.clock.now(), then)
            else:
                then()

        self._world.later(wait, arrive)

    def choices(self) -> Iterator[Callable[[], None]]:
        """What may happen next in this replica."""
        if self.dead or self.paused_until is not None:
            return
        now = self._world.clock.now()
        self._held = [held for held in self._held if not held[1].done()]
        for ready, held in self._held:
            if ready <= now:
                yield lambda held=held: held.set_result(None)  # type: ignore[misc]
        replica = self.replica
        if "ticks" not in self._tasks and self._next_tick <= now:
            yield lambda: self._start("ticks", self._tick())
        if "leader" not in self._tasks and (replica.wake.is_set() or self._next_lead <= now):
            yield lambda: self._start("leader", self._lead())
        if "worker" not in self._tasks and (work_at := self._work_at()) is not None and work_at <= now:
            yield lambda: self._start("worker", self._work())
        if "recorder" not in self._tasks and replica.recorder.waiting:
            yield lambda: self._start("recorder", replica.recorder.flush())

    def next_time(self) -> datetime | None:
        """When something may happen next by itself."""
        if self.dead or self.paused_until is not None:
            return None
        times = [ready for ready, held in self._held if not held.done()]
        if "ticks" not in self._tasks:
            times.append(self._next_tick)
        if "leader" not in self._tasks:
            times.append(self._next_lead)
        if "worker" not in self._tasks and (ready := self._work_at()) is not None:
            times.append(ready)
        return min(times, default=None)

    def _work_at(self) -> datetime | None:
        """When the worker may take its next step; None while it has nothing to do."""
        worker = self.replica.worker
        if worker.wake.is_set():
            return self._next_work
        if worker.pause is None:
            return None
        return max(self._next_work, self._world.clock.now() + timedelta(seconds=worker.pause))

    def stop(self) -> None:
        """End as on SIGTERM: drain within the budget, give back what is left, leave."""
        if not self.stopping:
            self.stopping = True
            self._start("stopping", self._stop())

    async def _stop(self) -> None:
        worker = self.replica.worker
        await self.replica.drain()
        self.report(self._drain, worker.release_all)
        await worker.idle()
        await self.replica.leave()
        self._world.journal.note(f"{self.name} has left")
        self.dead = True
        for name, task in self._tasks.items():
            if name != "stopping":
                task.cancel()
        self._world.died(self, self._poll.total_seconds())

    def _start(self, name: str, activity: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(activity, name=f"{name} of {self.name}")
        self._tasks[name] = task
        task.add_done_callback(lambda done: self._ended(name, done))

    def _ended(self, name: str, task: asyncio.Task[Any]) -> None:
        del self._tasks[name]
        if not task.cancelled() and (error := task.exception()) is not None:
            self._world.journal.wrong(f"{name} of {self.name} ended in {type(error).__name__}: {error}")
            self._world.journal.note(_where(error))

    async def _tick(self) -> None:
        await self.replica.tick()
        self._next_tick = self._world.clock.now() + self._poll

    async def _lead(self) -> None:
        replica = self.replica
        replica.wake.clear()
        again = await replica.lead()
        wait = timedelta(0) if again else self._poll
        if not again and replica.leads and replica.scheduler is not None:
            coming = replica.scheduler.next_time()
            if coming is not None:
                wait = min(wait, max(coming - replica.time.now(), timedelta(0)))
        self._next_lead = self._world.clock.now() + wait

    async def _work(self) -> None:
        worker = self.replica.worker
        worker.wake.clear()
        try:
            if await worker.step():
                worker.wake.set()
        except StoreUnavailable:
            worker.wake.set()
            self._next_work = self._world.clock.now() + AGAIN


def _where(error: BaseException) -> str:
    """The innermost line that raised it."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "" if trace is None else f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
