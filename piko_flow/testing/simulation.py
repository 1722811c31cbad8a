"""Worlds in which a seed decides what happens, in which order, and what goes wrong."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from piko_flow.control.flows.flow import Flow
from piko_flow.control.flows.registry import Registry
from piko_flow.control.options import ReplicaOptions
from piko_flow.store.memory.store import MemoryStore
from piko_flow.testing.manual_clock import START, ManualClock
from piko_flow.testing.simulated_checks import check_end, check_leaders
from piko_flow.testing.simulated_clock import SimulatedClock
from piko_flow.testing.simulated_edits import Person
from piko_flow.testing.simulated_flows import UNHURRIED, some_flows
from piko_flow.testing.simulated_replica import SimulatedReplica, SimulatedRuns
from piko_flow.testing.simulated_runs import DrawnRuns, RunDraws
from piko_flow.testing.simulated_world import SimulatedWorld
from piko_flow.testing.store_faults import FaultRates, Faults, SeededFaults

SLOW_WIRE = (
    0.25  # of the questions and answers wait for others, and some of these take up to so many seconds:
)
LONGEST_TRAVEL = 30.0
CALM = timedelta(minutes=35)  # after the longest pause: time for a rescue, and for what has piled up
SKEW = 7200.0  # seconds by which the clocks of hosts are wrong, at most
DRIFT = 0.001  # by how much they are faster or slower


class SimulationFailed(AssertionError):
    """Something happened that must not; says how to see it again."""

    def __init__(self, seed: int, violations: Iterable[str], log: Iterable[str]) -> None:
        self.seed, self.violations = seed, list(violations)
        wrong = "\n".join(f"  {line}" for line in self.violations[:10])
        last = "\n".join(f"    {line}" for line in list(log)[-30:])
        super().__init__(
            f"seed {seed}, {len(self.violations)} violations:\n{wrong}\n  the end of the log:\n{last}\n"
            f"  replay: python -m piko_flow.testing --seed {seed} --log"
        )


@dataclass(frozen=True, slots=True)
class Simulated:
    """What a simulation came to: `digest` is that of the whole log, `violations` what must not have happened."""

    seed: int
    digest: str
    steps: int
    writes: int
    commits: int
    terms: int
    crashes: int
    violations: tuple[str, ...]
    log: tuple[str, ...]

    def check(self) -> Simulated:
        """This; raises SimulationFailed if anything was wrong."""
        if self.violations:
            raise SimulationFailed(self.seed, self.violations, self.log)
        return self


class Simulation(SimulatedWorld):
    """One world: enter it, `await run()`, leave it. The same seed gives the same log.

    `flows` is a registry, or flows; without it some flows of all kinds. Their runs are drawn: time passes, nothing
    is executed. `hours` of trouble are followed by calm. `faults` come instead of those that the seed draws.
    """

    def __init__(
        self,
        *,
        seed: int,
        replicas: int | None = None,
        flows: Registry[Flow] | Iterable[Flow] | None = None,
        hours: float = 1.0,
        options: ReplicaOptions = UNHURRIED,
        rates: FaultRates | None = None,
        faults: Faults | None = None,
        edits: bool = True,
        start: datetime = START,
        store: Callable[[ManualClock], MemoryStore] = MemoryStore,
    ) -> None:
        draws = random.Random(seed)
        self.rates = rates or FaultRates()
        self._seeded = SeededFaults(draws, self.rates)
        super().__init__(
            registry=some_flows(draws) if flows is None else _registry(flows),
            options=options,
            start=start + timedelta(seconds=draws.uniform(0, 3600)),
            replicas=replicas or draws.choice((2, 3)),
            draws=draws,
            faults=faults or self._seeded,
            store=store,
        )
        self.seed, self.calm = seed, False
        self.stops_at = self.clock.now() + timedelta(hours=hours)
        self.run_draws = RunDraws(draws)
        self.person = Person(self) if edits else None

    @property
    def edited(self) -> set[str]:
        """Flows whose schedule somebody has touched."""
        return set() if self.person is None else self.person.edited

    async def run(self) -> Simulated:
        """Let things go wrong, then let all go well for a while, and look whether all is well."""
        self._plan_trouble()
        await self.run_until(self.stops_at)
        self.calm = True
        self._seeded.on = False
        self.run_draws.failing = self.run_draws.slow = 0.0
        if not self.journal.violations:
            await self._come_to_rest()
        journal = self.journal
        return Simulated(
            self.seed,
            journal.digest,
            self.steps,
            journal.writes,
            len(journal.commits),
            max(journal.terms.values(), default=0),
            self.crashes,
            tuple(journal.violations),
            tuple(journal.lines),
        )

    async def _come_to_rest(self) -> None:
        if self.person is not None:
            await self.person.put_in_order()
        if not self.replicas:
            self.begin_replica()
        await self.run_until(self.stops_at + timedelta(seconds=self.rates.longest) + CALM)
        if not self.journal.violations:
            await check_end(self)

    def _after_step(self) -> None:
        """Look whether two lead."""
        check_leaders(self)

    async def _at_instant(self) -> None:
        """Let the person act."""
        if self.person is not None and not self.calm:
            await self.person.act()

    def travel_time(self) -> float | None:
        """Most are there at once; some wait until others have had their turn, and a few are slow."""
        drawn = self.draws.random()
        if drawn >= SLOW_WIRE:
            return None
        return 0.0 if drawn < SLOW_WIRE * 0.7 else self.draws.uniform(0.0, LONGEST_TRAVEL)

    def _new_clock(self) -> SimulatedClock:
        """A clock that is wrong."""
        return SimulatedClock(
            self.clock,
            skew=timedelta(seconds=self.draws.uniform(-SKEW, SKEW)),
            begin=self.draws.uniform(0, 1e6),
            rate=self.draws.uniform(1 - DRIFT, 1 + DRIFT),
        )

    def _new_runs(self, replica: SimulatedReplica) -> SimulatedRuns:
        """Runs that are drawn."""
        return DrawnRuns(self.run_draws, replica.report, replica.replica.worker.ended)

    def _plan_trouble(self) -> None:
        """Crashes, stops and jumps of a clock that come at a time, not at a call."""
        span = (self.stops_at - self.clock.now()).total_seconds()
        for trouble in (self._crash_one, self._stop_one, self._jump, self._jump):
            self.later(timedelta(seconds=self.draws.uniform(0, span)), trouble)

    def _crash_one(self) -> None:
        if self.replicas:
            self.draws.choice(self.replicas).crash(self.draws.uniform(1, self.rates.longest))

    def _stop_one(self) -> None:
        able = [replica for replica in self.replicas if replica.paused_until is None]
        if able:
            self.draws.choice(able).stop()

    def _jump(self) -> None:
        if self.replicas:
            clock = self.draws.choice(self.replicas).clock
            clock.skew += timedelta(seconds=self.draws.uniform(-SKEW, SKEW))


async def simulate(seed: int, **options: Any) -> Simulated:
    """Run one world from beginning to end, with the options of Simulation; see `Simulated.check`."""
    async with Simulation(seed=seed, **options) as world:
        return await world.run()


def _registry(flows: Registry[Flow] | Iterable[Flow]) -> Registry[Flow]:
    if isinstance(flows, Registry):
        return flows
    registry: Registry[Flow] = Registry()
    for flow in flows:
        registry.add(flow)
    return registry
