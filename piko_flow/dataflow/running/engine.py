"""Where units run: the seam, and the engine that runs them in this process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from piko_flow.dataflow.plan.layout import Unit
from piko_flow.dataflow.plan.plan import Plan
from piko_flow.dataflow.reports.tally import EdgeTally, OperatorTimes, StageTally
from piko_flow.dataflow.running.context import EngineContext, open_context
from piko_flow.dataflow.running.unit import run_unit
from piko_flow.dataflow.running.unit_state import UnitState
from piko_flow.dataflow.workers.interpreter import check_count
from piko_flow.known_names import unknown_options_refused


@dataclass
class Counts:
    """Counts of one unit at one moment."""

    tallies: list[StageTally]
    times: list[OperatorTimes]
    edges: list[EdgeTally]


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


@unknown_options_refused
class LocalEngine:
    """Runs units in this process, on the loop of the run, `parallel` at a time (default one after the other)."""

    def __init__(self, parallel: int = 1) -> None:
        check_count("LocalEngine", "parallel", parallel)
        self.parallel = parallel

    def check(self, plan: Plan) -> None:
        """Every plan can run here."""

    async def run(self, plan: Plan, units: Sequence[Unit], context: EngineContext) -> None:
        """Run the units in order; see Engine."""
        waiting = list(reversed(units))
        async with open_context(plan, context) as group:
            for number in range(min(self.parallel, len(units))):
                group.create_task(self._work(plan, waiting, context), name=f"units {number + 1}")

    async def _work(self, plan: Plan, waiting: list[Unit], context: EngineContext) -> None:
        while waiting and not context.intake.closed:
            unit = waiting.pop()
            watch: list[UnitState] = []
            context.watched[unit.id] = lambda watch=watch: counts_of(watch)
            result = await run_unit(plan, unit, context, watch=watch)
            await context.done(result)
            del context.watched[unit.id]  # of a unit that failed the last counts stay, for the report


def counts_of(watch: list[UnitState]) -> Counts | None:
    """The counts at this moment of the unit in `watch`; None while it has not begun."""
    if not watch:
        return None
    return Counts(watch[0].tallies_now(), watch[0].times_now(), watch[0].edges())
