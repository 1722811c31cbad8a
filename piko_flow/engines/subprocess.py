"""The engine that runs each unit in an interpreter of its own."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from typing import Any

from piko_flow.dataflow.commit.commit import sweep
from piko_flow.dataflow.plan.layout import Unit
from piko_flow.dataflow.plan.plan import Plan
from piko_flow.dataflow.reports.observer import SilentObserver
from piko_flow.dataflow.running.context import EngineContext
from piko_flow.dataflow.running.engine import Counts
from piko_flow.dataflow.running.operators.sink import part_of
from piko_flow.dataflow.stages.sink import Part, Sink
from piko_flow.dataflow.workers.interpreter import Death, check_count
from piko_flow.dataflow.workers.shipping import culprits_of
from piko_flow.dataflow.workers.trace_parent import trace_parent
from piko_flow.engines.unit_errors import (
    CannotTravel,
    InterpretersCannotStart,
    SentError,
    UnitDied,
    loaded_error,
)
from piko_flow.engines.unit_messages import Order, Relay, SentResult, pack_for_travel, unpack_result
from piko_flow.engines.unit_process import UnitProcess
from piko_flow.errors import PipelineError, describe_error, shorten
from piko_flow.known_names import unknown_options_refused
from piko_flow.tasks import TaskGroup

ATTEMPTS = 3  # of a unit whose interpreter dies


@unknown_options_refused
class SubprocessEngine:
    """Runs each unit in a fresh interpreter, up to `parallel` at a time (default one for each core).

    Stages run exactly as in the run's own process, but nothing is shared between units, and a unit that takes
    its interpreter down is tried again, twice at the most, before the run fails with UnitDied. What a stage
    `uses` is opened once for each unit, and counts of concurrency hold for each unit. Worker processes of CPU
    stages are the unit's own; the run's `pool` and `resources` stay with the run. Commits happen in the run's
    process, from receipts alone. Counts and facts for the observer come a few times a second, the chunks of a
    stage summed up between; of an attempt that died the facts stay reported, the counts do not count.

    Refused when planning: sinks that keep what they are given in memory. Refused before the first unit
    begins: stages that cannot travel. A unit costs the start of an interpreter, a quarter of a second.
    """

    def __init__(self, parallel: int | None = None) -> None:
        if parallel is not None:
            check_count("SubprocessEngine", "parallel", parallel, "Leave it out for one on each core")
        self.parallel = parallel or os.cpu_count() or 1

    def check(self, plan: Plan) -> None:
        """Refuse, with PipelineError, a sink whose items would be lost with the interpreter that held them."""
        for box in plan.sinks:
            stage = box.stage
            assert isinstance(stage, Sink)
            if stage.target is not None and not stage.copy_target().durable:
                raise PipelineError(
                    what=stage.title,
                    where=str(stage.origin),
                    rule="a sink must outlive the interpreter that runs its unit",
                    got=f"{type(stage.target).__name__} is not durable: what it is given stays in memory there",
                    advice="Use the local engine, a function, or a SinkTarget that writes elsewhere "
                    "(durable = True)",
                )

    async def run(self, plan: Plan, units: Sequence[Unit], context: EngineContext) -> None:
        """Run the units, begun in order; see Engine. Raises CannotTravel, UnitDied, InterpretersCannotStart."""
        self.check(plan)
        if not units:
            return
        side_by_side = min(self.parallel, len(units))
        lanes = _Lanes(plan, units, context, cores=max(1, (os.cpu_count() or 1) // side_by_side))
        async with TaskGroup() as lanes.group:
            for number in range(side_by_side):
                lanes.group.create_task(lanes.work(), name=f"units {number + 1}")


class _Lanes:
    """Works through the units of a run; each `work` has one interpreter at a time."""

    group: TaskGroup  # of the tasks that do it

    def __init__(self, plan: Plan, units: Sequence[Unit], context: EngineContext, *, cores: int) -> None:
        self._plan, self._context, self._cores = plan, context, cores
        self._packed = _pack_plan(plan)
        self._waiting = list(reversed(units))
        limit = plan.options.max_errors
        self._strict = isinstance(limit, int)
        self._listening = context.observer is not None

    async def work(self) -> None:
        """Take one unit after the other until none waits or the intake closes."""
        while self._waiting and not self._context.intake.closed:
            unit = self._waiting.pop()
            packed = _pack_unit(self._plan, unit)
            for attempt in range(1, ATTEMPTS + 1):
                one = _Attempt(self._plan, unit, attempt, self._context)
                death = await one.run(self._order(packed, attempt))
                if death is None:
                    break
                self._context.leftovers += await sweep(self._plan, self._parts_without(unit, attempt))
                self.group.obey()  # a sweep is not interrupted
                if attempt == ATTEMPTS:
                    raise one.given_up(death)
                if self._context.intake.closed:
                    return

    def _order(self, unit: bytes, attempt: int) -> Order:
        return Order(
            plan=self._packed,
            unit=unit,
            attempt=attempt,
            units=self._context.units,
            info=self._context.info,
            cores=self._cores,
            listening=self._listening,
            strict=self._strict,
            trace=trace_parent.get(),
            level=logging.getLogger().getEffectiveLevel(),
        )

    def _parts_without(self, dead: Unit, attempt: int) -> list[Part]:
        """All parts that may still be needed when an attempt of a unit has died."""
        return [
            part_of(self._context.info, unit, number, self._context.units, box.name)
            for box in self._plan.sinks
            for unit in self._plan.units
            for number in range(1, ATTEMPTS + 1)
            if unit.id != dead.id or number > attempt
        ]


class _Attempt:
    """One try of a unit, and its share of the run's account."""

    def __init__(self, plan: Plan, unit: Unit, number: int, context: EngineContext) -> None:
        self._plan, self._unit, self._number, self._context = plan, unit, number, context
        self._relay = Relay(context.observer or SilentObserver())
        self._process: UnitProcess | None = None
        self._bad = 0

    async def run(self, order: Order) -> Death | None:
        """Run it, and hand its result to the run; the death of its interpreter if it ended before the unit.

        Raises what the unit raised. However this ends, the interpreter is gone then.
        """
        process = self._process = self._start(order)
        context, unit = self._context, self._unit
        context.watched[unit.id] = lambda: process.counts
        forget = context.intake.on_close(process.drain)
        if context.intake.closed:
            process.drain()
        try:
            outcome = await process.outcome()
        finally:
            forget()
            try:
                await process.stop()
            finally:
                self._relay.end()
        if isinstance(outcome, Death):
            del context.watched[unit.id]
            context.budget.bad -= self._bad
            return outcome
        if isinstance(outcome, SentError):
            error = loaded_error(outcome, unit=unit.id)
            raise error from error.__cause__
        await self._hand_over(outcome)
        return None

    def given_up(self, death: Death) -> Exception:
        """The error that says that there will be no further attempt."""
        assert self._process is not None
        run = self._context.info.run
        if not self._process.begun:
            return InterpretersCannotStart(program=sys.executable, cause=death.cause, run=run)
        return UnitDied(
            unit=self._unit.id,
            split=shorten(self._unit.split) if self._unit.has_split else "",
            attempts=self._number,
            cause=death.cause,
            code=death.code,
            read=self._read(),
            run=run,
        )

    def _start(self, order: Order) -> UnitProcess:
        try:
            return UnitProcess.start(order, counted=self._counted, observed=self._relay.report)
        except OSError as error:
            raise InterpretersCannotStart(
                program=sys.executable, cause=describe_error(error), run=self._context.info.run
            ) from error

    async def _hand_over(self, sent: SentResult) -> None:
        workers = self._context.workers
        for name, count in sent.workers.items():
            workers[name] = workers.get(name, 0) + count
        await self._context.done(unpack_result(sent, self._unit.id))
        del self._context.watched[self._unit.id]

    def _counted(self, counts: Counts) -> None:
        """Add the unit's bad items to the run's. Raises ErrorBudgetExceeded as soon as there are too many."""
        bad = sum(tally.skipped + tally.dead for tally in counts.tallies)
        more, self._bad = bad - self._bad, bad
        if more:
            self._context.budget.spend(more)

    def _read(self) -> int:
        counts = None if self._process is None else self._process.counts
        boxes = self._plan.graph.boxes
        return sum(
            tally.received
            for box, tally in zip(boxes, counts.tallies if counts else (), strict=False)
            if box.stage.kind == "Source"
        )


def _pack_plan(plan: Plan) -> bytes:
    """The plan packed for travel. Raises CannotTravel, which names the stage that cannot."""
    try:
        return pack_for_travel(plan.travelling())
    except Exception as error:
        reason = error
    for box in plan.graph.boxes:
        if culprits := culprits_of(box.stage):
            raise _cannot_travel(box.stage.title, str(box.stage.origin), "; ".join(culprits)) from reason
    raise _cannot_travel(f"pipeline {plan.name!r}", "its options", describe_error(reason)) from reason


def _pack_unit(plan: Plan, unit: Unit) -> bytes:
    try:
        return pack_for_travel(unit)
    except Exception as error:
        source = next(box.stage for box in plan.graph.boxes if box.stage.kind == "Source")
        got = f"split {shorten(unit.split)}: {describe_error(error)}"
        raise _cannot_travel(source.title, str(source.origin), got) from error


def _cannot_travel(what: str, where: str, got: str) -> Any:
    return CannotTravel(
        what=what,
        where=where,
        rule="what runs in an interpreter of its own must be picklable, with all that it refers to",
        got=got,
        advice="Open inside the stage what cannot travel (uses=...), or use the local engine",
    )
