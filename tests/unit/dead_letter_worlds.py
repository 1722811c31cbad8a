"""A world in which flows leave dead letters, that are replayed: a store in memory, a plane over it, runs by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from piko_flow import Pipeline, Sink, Source, Transform
from piko_flow.control.flows.flow import Flow
from piko_flow.control.operations.plane import ControlPlane
from piko_flow.control.operations.plane_dead_letters import WhichLetters
from piko_flow.control.options import ReplicaOptions
from piko_flow.control.runs.endings import next_step
from piko_flow.control.runs.execution import ActiveExecution, RunOrder
from piko_flow.control.runs.outcome import Outcome
from piko_flow.store.batch import Batch, Ending
from piko_flow.store.records import DeadLetterRecord, RunRecord
from tests.unit.executing import REPLICA, Place


class World(Place):
    """A place with a plane over it, whose runs are executed by hand and whose ends are written."""

    def __init__(self) -> None:
        super().__init__()
        self.plane = ControlPlane(
            store=self.store, registry=self.registry, options=ReplicaOptions(), clock=self.clock
        )

    def register(self, target: Any, **options: Any) -> Flow:
        """The flow `orders`, in place of what it was."""
        self.registry = type(self.registry)()
        self.plane.registry = self.registry
        return Flow.register("orders", target, registry=self.registry, **options)

    async def finish(self, run: RunRecord) -> Outcome:
        """Execute a claimed run and write its end."""
        flow = self.plane.registered(run.flow)
        version = None if run.params_version is None else await self.store.params_version(run.params_version)
        outcome = await ActiveExecution(RunOrder(run, flow, version), self.tools).run()
        change = next_step(run, flow, outcome, self.clock.now())
        assert isinstance(change, Ending), change
        written = await self.store.write(Batch(REPLICA, endings=[change]))
        assert not written.stale
        return outcome

    async def run(self, flow: Flow, **facts: Any) -> Outcome:
        """Run the flow once."""
        return await self.finish(await self.claimed(flow, **facts))

    async def replay(self, *ids: int) -> Outcome:
        """Replay these letters by one run, to its end."""
        [run] = (await self.plane.replay(WhichLetters(ids))).runs
        await self.store.write(Batch(REPLICA, admit=[run.id]))
        [claimed] = (await self.store.write(Batch(REPLICA, claim=[run.id]))).claimed
        return await self.finish(claimed)

    async def letters(self, state: str | None = "open") -> list[DeadLetterRecord]:
        """The letters in this state, oldest first."""
        return list(reversed((await self.plane.dead_letters(state=state)).letters))


def odd(number: int) -> int:
    if number % 2 == 0:
        raise ValueError(f"{number} is even")
    return number


def tenfold(number: int) -> int:
    return number * 10


def over(items: list[Any], step: Callable[[Any], Any], out: list[Any], **options: Any) -> Pipeline:
    return (
        Source(items) >> Transform(step, name="check", on_error="dead_letter", **options) >> Sink(out.append)
    )
