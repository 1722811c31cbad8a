"""Replicas over one store in simulated time: what may happen next, and when nothing may until the clock moves."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from heapq import heappop, heappush
from types import TracebackType
from typing import Self

from piko_flow.control.flows.flow import Flow
from piko_flow.control.flows.registry import Registry
from piko_flow.control.options import ReplicaOptions
from piko_flow.store.memory.store import MemoryStore
from piko_flow.testing.manual_clock import ManualClock
from piko_flow.testing.simulated_clock import SimulatedClock
from piko_flow.testing.simulated_journal import Journal
from piko_flow.testing.simulated_replica import SimulatedReplica, SimulatedRuns
from piko_flow.testing.store_faults import Faults, NoFaults

MOST_STEPS = 1_000_000  # between two rests of the clock's caller


class SimulatedWorld(ABC):
    """A store, replicas and a clock that all of them live by; entered, it begins with its replicas.

    `run_until` lets things happen one at a time, in an order drawn from `draws`, and moves the clock only when
    nothing can happen without that. Nothing in it waits for real time.
    """

    def __init__(
        self,
        *,
        registry: Registry[Flow],
        options: ReplicaOptions,
        start: datetime,
        replicas: int = 1,
        draws: random.Random,
        faults: Faults | None = None,
        store: Callable[[ManualClock], MemoryStore] = MemoryStore,
    ) -> None:
        self.registry, self.options, self.draws, self.count = registry, options, draws, replicas
        self.clock = ManualClock(start)
        self.store = store(self.clock)
        self.journal = Journal(self.store)
        self.faults: Faults = faults or NoFaults()
        self.replicas: list[SimulatedReplica] = []
        self._dead: list[SimulatedReplica] = []
        self._events: list[tuple[datetime, int, Callable[[], None]]] = []
        self._numbered = self._begun = 0
        self.steps = self.crashes = 0

    async def __aenter__(self) -> Self:
        for _ in range(self.count):
            self.begin_replica()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for replica in list(self.replicas):
            replica.crash(-1.0)
        for replica in self._dead:
            await replica.gone()

    async def run_until(self, instant: datetime) -> None:
        """Let happen what happens until the clock is there, or something was wrong."""
        most = self.steps + MOST_STEPS
        while self.steps < most:
            choices = [choice for replica in self.replicas for choice in replica.choices()]
            if choices:
                self.steps += 1
                choices[0 if len(choices) == 1 else self.draws.randrange(len(choices))]()
                await self.clock.settle()
                self._after_step()
                continue
            if await self._wait_outside():
                continue
            coming = max(min(self._times(), default=instant), self.clock.now())
            await self.clock.advance_to(min(coming, instant))
            if coming > instant or self.journal.violations:
                return
            await self._happen()
        self.journal.wrong(f"no rest: more than {MOST_STEPS} steps on the way to {instant}")

    def _times(self) -> Iterable[datetime]:
        for replica in self.replicas:
            if (time := replica.next_time()) is not None:
                yield time
        if self._events:
            yield self._events[0][0]
        if (wakes := self.clock.next_wake) is not None:
            yield wakes

    async def _happen(self) -> None:
        while self._events and self._events[0][0] <= self.clock.now():
            heappop(self._events)[2]()
            await self.clock.settle()
        await self._at_instant()

    def _after_step(self) -> None:  # noqa: B027  # a world need not care
        """Called after each step."""

    async def _at_instant(self) -> None:  # noqa: B027  # a world need not care
        """Called when the clock has moved to where something happens."""

    async def _wait_outside(self) -> bool:
        """Called when nothing can happen at this instant: wait for the world outside; True when something has come."""
        return False

    def travel_time(self) -> float | None:
        """Seconds that a question or an answer takes; None where it is there at once."""
        return None

    def later(self, wait: timedelta, then: Callable[[], None], /) -> None:
        """Call it when so much time has passed."""
        self._numbered += 1
        heappush(self._events, (self.clock.now() + wait, self._numbered, then))

    def died(self, replica: SimulatedReplica, seconds: float, /) -> None:
        """The replica is gone; another takes its place after so many seconds, none when they are below 0."""
        self.crashes += 1
        self.replicas.remove(replica)
        self._dead.append(replica)
        if seconds >= 0:
            self.later(timedelta(seconds=seconds), self.begin_replica)

    def begin_replica(self) -> None:
        """A replica that nobody has seen before."""
        self._begun += 1
        replica = SimulatedReplica(
            self,
            number=self._begun,
            store=self.store,
            registry=self.registry,
            options=self.options,
            clock=self._new_clock(),
        )
        replica.runs = self._new_runs(replica)
        self.replicas.append(replica)
        self.journal.note(f"{replica.name} begins at {self.clock.now().isoformat()}")

    def _new_clock(self) -> SimulatedClock:
        """The clock of a new replica's host."""
        return SimulatedClock(self.clock)

    @abstractmethod
    def _new_runs(self, replica: SimulatedReplica) -> SimulatedRuns:
        """Where a new replica's runs are executed."""
