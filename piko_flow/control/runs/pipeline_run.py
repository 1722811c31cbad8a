"""One attempt of a flow's pipeline: built, planned, run, with its receipts in the store."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from typing import Any

import orjson

from piko_flow.control.dead_letters.dead_letters import records_of
from piko_flow.control.flows.run_context import RunContext
from piko_flow.control.params.redaction import Redaction, secrets_in
from piko_flow.control.runs.cpu import WorkerShare
from piko_flow.control.runs.journal import StoreJournal, StoreStaging
from piko_flow.control.runs.run_order import RunOrder, RunTools
from piko_flow.dataflow.commit.last_transaction import LastTransaction
from piko_flow.dataflow.plan.entry import Entry
from piko_flow.dataflow.plan.plan import Plan, make_plan
from piko_flow.dataflow.plan.plan_options import PlanOptions
from piko_flow.dataflow.reports.facts import DeadLetter
from piko_flow.dataflow.reports.report import RunReport
from piko_flow.dataflow.running.run import ActiveRun
from piko_flow.dataflow.stages.resource import RunInfo
from piko_flow.dataflow.stages.sink import Sink
from piko_flow.dataflow.stages.source import Source
from piko_flow.dataflow.stages.stage import Pipeline
from piko_flow.dataflow.workers.pool import WorkerPool
from piko_flow.planning.window import Window
from piko_flow.store.records import DeadLetterRecord


class PipelineRun:
    """Runs a pipeline under the id of its run, so that a later claim goes on with what this one has prepared."""

    def __init__(self, order: RunOrder, tools: RunTools, flush: Callable[[], Awaitable[None]]) -> None:
        self.order, self.tools = order, tools
        self.redaction = Redaction.of(order.flow.redact, tools.redact)
        self.journal = StoreJournal(
            order.record, ask=tools.ask, clock=tools.clock, flush=flush, redaction=self.redaction
        )
        staging = StoreStaging(order.record, ledger=tools.ledger, reach=self.journal.reach)
        self.last = LastTransaction(tools.ledger, run=str(order.record.id), staging=staging)
        self.persist_seconds = 0.0
        """Time that sinks were busy, and that the commit took."""
        self.entry: Entry | None = None
        """The stage at which the run enters, where it is not the source."""
        self._active: ActiveRun | None = None
        self._task: asyncio.Task[Any] | None = None
        self._cancels = 0
        self._draining = False

    def drain(self) -> None:
        """Read no more and let what is inside flow out."""
        self._draining = True
        if self._active is not None:
            self._active.drain()

    def cancel(self) -> bool:
        """Stop now; without effect once the run is decided, as its report will say."""
        if self._active is not None:
            self._active.cancel()
        elif self._task is not None:
            self._cancels += 1
            self._task.cancel()
        return True

    async def run(self, context: RunContext[Any]) -> RunReport:
        """Run to the end and give the report. Raises what ends the run, and CancelledError when stopped while planning."""
        task = self._task = asyncio.current_task()
        self.redaction = self.journal.redaction = self.redaction.knowing(secrets_in(context.params))
        try:
            plan = await self._planned(await self.pipeline(context))
        finally:
            while self._cancels and task is not None:
                self._cancels -= 1
                task.uncancel()
        self._active = ActiveRun(plan, self._options(plan))
        if self._draining:
            self._active.drain()
        with self._watched(self._active) as reported:
            async with self._active.background():
                report = await self._active.wait()
            reported(report)
        self.persist_seconds = self._persisting(plan, report)
        return report

    async def pipeline(self, context: RunContext[Any]) -> Pipeline:
        """The pipeline to run."""
        return self.order.flow.pipeline_for(context)

    def _watched(self, active: ActiveRun) -> AbstractContextManager[Callable[[RunReport], None]]:
        """Inside the block others see where the run is; the function it gives takes the report."""
        details = self.tools.details
        return nullcontext(lambda report: None) if details is None else details.watching(self.order, active)

    def plan_options(self) -> PlanOptions:
        """Those of the flow."""
        return self.order.flow.run_options.plan

    def info(self) -> RunInfo:
        """What resources and sinks may know of the run."""
        return self.order.info()

    async def dead(self, report: RunReport) -> dict[str, Any]:
        """What the run's outcome tells of its dead letters, when it has succeeded."""
        return {"dead_letters": await self.records(report.dead_letters)}

    async def records(
        self, letters: Sequence[DeadLetter], window: Window | None = None
    ) -> tuple[DeadLetterRecord, ...]:
        """Dead letters of the run as they are stored, see `records_of`; files are written in a thread of their own."""
        if not letters:
            return ()
        record, files = self.order.record, self.tools.files
        make = partial(records_of, record, letters, redaction=self.redaction, files=files, window=window)
        return make() if files is None else await asyncio.to_thread(make)

    async def _planned(self, pipeline: Pipeline) -> Plan:
        options = self.plan_options()
        decided = await self.journal.decision(str(self.order.record.id))
        if (
            decided is None
            and self.entry is None
            and any(isinstance(leaf, Source) and leaf.reads == "slices" for leaf in pipeline.leaves())
        ):
            position = await self.tools.ask(lambda store: store.position(self.order.record.flow))
            options = replace(options, since=None if position is None else orjson.loads(position))
        plan = make_plan(pipeline, options, decided=decided is not None, entry=self.entry)
        self.journal.plan_fingerprint = plan.fingerprint
        self.journal.joining = frozenset(
            box.name for box in plan.sinks if isinstance(box.stage, Sink) and self.last.takes(box.stage)
        )
        return plan

    def _options(self, plan: Plan) -> Any:
        given, details = self.tools.observer, self.tools.details
        observer = given(self.order) if given is not None else None
        if observer is None and details is not None:
            observer = details.observer()
        return replace(
            self.order.flow.run_options,
            plan=plan.options,
            pool=share_of(self.tools),
            resources=self.tools.resources,
            observer=observer,
            journal=self.journal,
            run_id=str(self.order.record.id),
            info=self.info(),
            claim=self.journal.check_claim,
            last=self.last,
        )

    def _persisting(self, plan: Plan, report: RunReport) -> float:
        sinks = {box.number for box in plan.sinks}
        pure = {operator.number for operator in plan.operators if sinks.issuperset(operator.boxes)}
        busy = {stage.operator: stage.busy for stage in report.stages if stage.operator in pure}
        began = self.journal.commit_began
        commit = 0.0 if began is None else self.tools.clock.monotonic() - began
        return sum(busy.values()) + commit


def share_of(tools: RunTools) -> WorkerPool | None:
    """The workers that one run may keep busy."""
    pool = tools.pool
    return (
        pool
        if pool is None or tools.workers_per_run >= pool.workers
        else WorkerShare(pool, tools.workers_per_run)
    )
