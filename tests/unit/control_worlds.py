"""What the tests of the control half in simulated time share: flows that note their runs, and rows as people write them."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from piko_flow.control.flows.flow import Flow
from piko_flow.control.flows.registry import Registry
from piko_flow.control.flows.run_context import RunContext
from piko_flow.planning.interval import Interval
from piko_flow.planning.window import BackfillPolicy, Window
from piko_flow.store.records import ConfigRecord, RunRecord, ScheduleRecord
from piko_flow.testing.simulated import BRISK, FlowWorld, simulated
from piko_flow.testing.simulated_replica import SimulatedReplica
from piko_flow.testing.store_faults import Faults

NOON = datetime(2026, 3, 2, 12, 0, 30, tzinfo=UTC)  # half a minute after what fires at noon
HOUR, MINUTE, SECOND = timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)
HOURLY = Interval(hours=1)
CATCH_UP, SKIP, NONE = BackfillPolicy.CATCH_UP, BackfillPolicy.SKIP, BackfillPolicy.NONE


class Flows:
    """A registry whose flows note what they were run for; `takes` has how long each takes, in seconds of the world."""

    def __init__(self) -> None:
        self.registry: Registry[Flow] = Registry()
        self.world: FlowWorld | None = None
        self.seen: list[RunContext[Any]] = []
        self.takes: dict[str, float] = {}
        self.fails: dict[str, Exception] = {}
        """By flow: what it raises instead of ending well."""
        self.look: Callable[[RunContext[Any]], None] = lambda run: None
        """Called when a run begins."""
        self.working: dict[str, int] = {}
        self.most: dict[str, int] = {}
        """By flow: how many of its runs were at work at once, at most."""

    def add(self, name: str, **options: Any) -> Flow:
        """Register a plain job."""
        return Flow.register(name, self._work, registry=self.registry, **options)

    async def _work(self, run: RunContext[Any]) -> None:
        self.seen.append(run)
        self.look(run)
        working = self.working[run.flow] = self.working.get(run.flow, 0) + 1
        self.most[run.flow] = max(self.most.get(run.flow, 0), working)
        try:
            if run.flow in self.takes:
                assert self.world is not None
                await self.world.sleep(self.takes[run.flow])
            if run.flow in self.fails:
                raise self.fails[run.flow]
        finally:
            self.working[run.flow] -= 1

    @asynccontextmanager
    async def within(
        self,
        start: datetime = NOON,
        *,
        zone: str = "UTC",
        replicas: int = 1,
        faults: Faults | None = None,
        **options: Any,
    ) -> AsyncIterator[FlowWorld]:
        """A world of these flows, with these options of replicas."""
        async with simulated(
            self.registry,
            start=start,
            zone=zone,
            replicas=replicas,
            faults=faults,
            options=replace(BRISK, **options),
        ) as world:
            self.world = world
            yield world

    def windows(self, flow: str) -> list[Window]:
        """The windows of the attempts of the flow, in their order."""
        return [run.window for run in self.seen if run.flow == flow]

    def fires(self, flow: str) -> list[datetime]:
        """The scheduled times of the attempts of the flow, in their order."""
        return [run.scheduled_time for run in self.seen if run.flow == flow]


def row(
    flow: str, expression: str = '{"hours": 1}', kind: str = "interval", **columns: Any
) -> ScheduleRecord:
    """A schedule row, hourly unless it is said otherwise."""
    return ScheduleRecord(flow, kind, expression, **columns)


def config(flow: str, text: str, **columns: Any) -> ConfigRecord:
    """A row of parameters, or the system's."""
    return ConfigRecord(flow, text, **columns)


def of(world: FlowWorld, flow: str) -> ScheduleRecord:
    """The flow's row as it is now."""
    return world.store._rows.schedules[flow]


def edit(world: FlowWorld, flow: str, **columns: Any) -> None:
    """Change columns of the flow's row as a person with a SQL client does."""
    world.store.edit(replace(of(world, flow), **columns))


def refused(world: FlowWorld, flow: str) -> str:
    """Why the flow's row is not used, as it is stored for people; empty when it is used."""
    return world.store._rows.refused.get(flow, "")


def statuses(world: FlowWorld, flow: str) -> list[str]:
    """How the flow's runs stand, oldest first."""
    return [str(run.status) for run in world.runs(flow)]


def reasons(world: FlowWorld, flow: str) -> list[tuple[str, str]]:
    """Status and reason code of the flow's runs, oldest first."""
    return [(str(run.status), run.reason) for run in world.runs(flow)]


def starts(runs: Sequence[RunRecord]) -> list[datetime]:
    """When these began, in order."""
    return sorted(run.start_time for run in runs if run.start_time is not None)


def at(hour: float, day: int = 2) -> datetime:
    """An hour of a day of the month of NOON, with minutes as its fraction."""
    return datetime(2026, 3, day, tzinfo=UTC) + timedelta(hours=hour)


def hours(first: float, last: float) -> list[Window]:
    """The hourly windows from one hour to another."""
    count = int(last - first)
    return [Window(at(first + number), at(first + number + 1)) for number in range(count)]


def leader(world: FlowWorld) -> SimulatedReplica:
    """The replica that leads now."""
    [found] = [replica for replica in world.replicas if replica.replica.leads]
    return found


async def away(world: FlowWorld, **span: float) -> None:
    """Let nobody be there for so long: all replicas die, and one comes back after that."""
    seconds = timedelta(**span).total_seconds()
    for number, replica in enumerate(list(world.replicas)):
        replica.crash(seconds if number == 0 else -1.0)
    await world.advance(seconds=seconds)
