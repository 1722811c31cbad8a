"""Running a pipeline: the whole run in one call, or a handle to one in progress."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

from typing_extensions import Unpack

from piko_flow.clock import monotonic, now
from piko_flow.dataflow.commit.accounts import Accounts, UnitResult
from piko_flow.dataflow.commit.commit import (
    Budget,
    MemoryJournal,
    Targets,
    check_accounts,
    commit_decided,
    has_targets,
    locked_targets,
    sweep,
)
from piko_flow.dataflow.commit.uncommitted import (
    note_leftovers,
    note_uncommitted_writes,
    uncommitted_writes_of,
)
from piko_flow.dataflow.plan.plan import Plan, make_plan
from piko_flow.dataflow.reports.facts import Progress
from piko_flow.dataflow.reports.report import RunReport
from piko_flow.dataflow.running.blocking import blocking
from piko_flow.dataflow.running.context import EngineContext, Intake
from piko_flow.dataflow.running.engine import LocalEngine
from piko_flow.dataflow.running.run_options import RunOptions, RunValues, run_options
from piko_flow.dataflow.stages.resource import RunInfo
from piko_flow.dataflow.stages.stage import Pipeline, closed
from piko_flow.errors import CommitFailed, ResumeRefused, describe_error
from piko_flow.tasks import HeldInterrupt, Shield


class ActiveRun:
    """A run in progress. Made by `start`, which owns its task."""

    def __init__(self, plan: Plan, options: RunOptions | None = None) -> None:
        self.plan = plan
        options = self._options = options or RunOptions()
        self.id = options.run_id or uuid4().hex[:12]
        self._intake, self._began, self._started = Intake(), monotonic(), now()
        self._journal = options.journal or MemoryJournal()
        self._observer = options.observer
        self._engine = options.engine or LocalEngine()
        self._engine.check(plan)
        self._budget = Budget(plan.options.max_errors, run=self.id)
        self._accounts = Accounts(plan, self.id)
        self._decided = self._cancelled = self._reported = False
        self._task: asyncio.Task[RunReport] | None = None
        self._cancelled_before = 0  # cancellations of its task, that were there before it began
        self._context = EngineContext(
            info=options.info or RunInfo(run=self.id),
            observer=self._observer,
            budget=self._budget,
            intake=self._intake,
            units=len(plan.units),
            done=self._unit_done,
            pool=options.pool,
            resources=options.resources,
            staging=None if options.last is None else options.last.staging,
        )
        self._shield = Shield(plan.options.teardown, left=self._context.leave_task)

    def drain(self) -> None:
        """Read no more and let what is inside flow out; the run ends as "drained" and commits nothing."""
        self._intake.close()

    def cancel(self) -> None:
        """Stop now; the run ends as "cancelled" and commits nothing.

        Once it is decided, the run commits what is decided, and `cancel` bounds the time of that: the rest of the
        commit may take the run's `teardown`, then it ends with CommitFailed.
        """
        if self._decided:
            self._shield.limit()
        elif self._task is not None and not self._task.done():
            self._cancelled = True
            self._task.cancel()

    def progress(self) -> Progress:
        """Where the run stands at this moment."""
        return self._accounts.progress(self._context.watched, monotonic() - self._began)

    async def wait(self) -> RunReport:
        """The report, when the run has ended. Raises what ended it: StageFailed, ErrorBudgetExceeded, ..."""
        assert self._task is not None
        await asyncio.wait([self._task])
        self._reported = True
        return self._task.result()

    @asynccontextmanager
    async def background(self) -> AsyncIterator[None]:
        """Run in a task of its own while the block is open; see `start`."""
        task = self._task = asyncio.create_task(self.run(), name=f"run {self.id}")
        try:
            await asyncio.sleep(0)  # a task cancelled before it has begun would have no report to give
            yield
            await asyncio.wait([task])
        except BaseException:
            task.cancel()
            await Shield(float("inf")).wait(task)
            raise
        if not self._reported:
            task.result()

    async def run(self) -> RunReport:
        """Run to the end in the current task.

        A cancellation that comes when the run is decided is raised when it has been committed and swept.
        """
        if self._observer is not None:
            self._observer.run_started(self.id, self.plan.name, len(self.plan.units))
        self._cancelled_before = _cancellations()
        try:
            report = await self._run()
        except BaseException as error:
            await self._take_back()
            if isinstance(error, HeldInterrupt):
                error = error.interrupt
            if not self._decided:
                note_uncommitted_writes(error, self.plan, self.progress(), last=self._options.last)
            if not (self._cancelled and isinstance(error, asyncio.CancelledError)):
                note_leftovers(error, self._context.leftovers)
                self._report_end(None, error)
                raise error
            report = self._report("cancelled")
        self._report_end(report, None)
        if not self._cancelled:
            try:
                self._obey()
            except asyncio.CancelledError as error:
                note_leftovers(error, report.leftovers)
                raise
        return report

    async def _run(self) -> RunReport:
        decided = await self._journal.decision(self.id)
        if decided is not None:
            self._decided = True  # so that nothing of it is taken back
            await self._check_fingerprint()
        written: list[str] = []
        async with locked_targets(self.plan, self.id, self._context.leftovers) as targets:
            if decided is None:
                units = await self._remaining()
                await self._engine.run(self.plan, units, self._context)
                self._obey()
                if not (self._intake.closed and self._accounts.missing):
                    check_accounts(self._accounts, self._budget)
                    decided = self._accounts.results()
            else:
                self._accounts.restore(decided)
            if decided is not None:
                written = await self._commit(targets, decided)
        if decided is None:
            await self._take_back()
            return self._report("drained")
        await self._sweep()
        return self._report("succeeded", written=tuple(written))

    def _report_end(self, report: RunReport | None, error: BaseException | None) -> None:
        if self._observer is not None:
            self._observer.run_ended(report, error)

    def _obey(self) -> None:
        """Raise CancelledError if the run was cancelled while it did what a cancellation does not interrupt, such as closing resources."""
        if _cancellations() > self._cancelled_before:
            raise asyncio.CancelledError

    async def _commit(self, targets: Targets, results: Sequence[UnitResult]) -> list[str]:
        """From the decision on a run is carried out; who cancels it then waits for it, at most the teardown time."""
        if not self._accounts.restored:
            await self._note(self._journal.decide(self.id, results), "storing the decision")
        self._decided = True
        claim, last = self._options.claim, self._options.last
        written = await commit_decided(
            self.plan, targets, results, self.id, claim=claim, last=last, shield=self._shield
        )
        await self._note(self._journal.committed(self.id), "noting the commit")
        return written

    async def _note(self, work: Coroutine[Any, Any, None], what: str) -> None:
        """Let the journal do its work. Raises CommitFailed when it has not answered in time."""
        try:
            await self._shield.carry_out(work, what)
        except TimeoutError as error:
            if not self._shield.is_over:
                raise
            raise CommitFailed(sink="", run=self.id, cause=error) from error

    async def _take_back(self) -> None:
        """Remove what units prepared, unless the run is decided or a journal of the caller's lets it go on."""
        prepared = any(result.receipts for result in self._accounts.results())
        if prepared and not self._decided and self._options.journal is None:
            self._context.leftovers += await sweep(self.plan, ())

    async def _sweep(self) -> None:
        """Remove what dead attempts left; the run is committed, so a failure is a line in its report."""
        if not has_targets(self.plan):
            return
        try:
            live = await Shield(self.plan.options.teardown).limit().carry_out(self._journal.live())
        except Exception as error:
            self._context.leftovers.append(
                f"remains of sinks, as the journal did not answer ({describe_error(error)})"
            )
        else:
            self._context.leftovers += await sweep(self.plan, live)

    async def _remaining(self) -> list[Any]:
        """The units that have not prepared in an earlier attempt of this run."""
        await self._check_fingerprint()
        prepared = await self._journal.prepared(self.id)
        for unit in self.plan.units:
            if unit.id in prepared and prepared[unit.id].lasting:
                self._accounts.add(prepared[unit.id])
        return [unit for unit in self.plan.units if unit.id not in prepared or not prepared[unit.id].lasting]

    async def _check_fingerprint(self) -> None:
        if await self._journal.fingerprint(self.id) not in (None, "", self.plan.fingerprint):
            raise ResumeRefused(run=self.id)

    async def _unit_done(self, result: UnitResult) -> None:
        self._accounts.add(result)
        if result.exhausted:
            await self._journal.record(self.id, self.plan.fingerprint, result)

    def _report(self, outcome: Any, *, written: tuple[str, ...] = ()) -> RunReport:
        progress, uncommitted_writes = self.progress(), tuple[str, ...]()
        if outcome != "succeeded":
            at_work = outcome == "cancelled" and progress.units_done < progress.units
            uncommitted_writes = uncommitted_writes_of(
                self.plan, progress, last=self._options.last, at_work=at_work
            )
        return self._accounts.report(
            progress,
            outcome=outcome,
            started=self._started,
            written=written,
            uncommitted_writes=uncommitted_writes,
            leftovers=tuple(self._context.leftovers),
            workers=dict(self._context.workers),
        )


async def run(pipeline: Pipeline, **options: Unpack[RunValues]) -> RunReport:
    """Run a pipeline to its end and commit what its sinks prepared.

    Gives the report. Raises StageFailed when a stage failed, ErrorBudgetExceeded when too many items were
    bad, Unbalanced when counts do not add up; nothing is committed then. Raises CommitFailed when a sink failed
    after the decision. Cancelling the caller cancels the run. When it returns or raises, nothing of it is
    left running, except threads that could not be stopped, which the report names.
    """
    active = await _planned(closed(pipeline, why="run()"), run_options(options))
    return await active.run()


@asynccontextmanager
async def start(pipeline: Pipeline, **options: Unpack[RunValues]) -> AsyncIterator[ActiveRun]:
    """Run a pipeline in the background of the block: `async with start(pipeline) as active: ...`.

    Leaving the block waits for the run; leaving it by an error or a cancellation cancels the run first.
    A failure of the run is raised at the end of the block, unless `wait()` raised it before.
    """
    active = await _planned(closed(pipeline, why="start()"), run_options(options))
    async with active.background():
        yield active


def run_sync(pipeline: Pipeline, **options: Unpack[RunValues]) -> RunReport:
    """Run a pipeline from a script, on an event loop of its own; see `run`.

    Works where a loop is running already (a notebook) too: the run then has a thread of its own and the
    caller waits for it. There, `await run(pipeline)` is the better way.
    """
    pipeline, checked = closed(pipeline, why="run_sync()"), run_options(options)

    async def planned_and_run() -> RunReport:
        return await (await _planned(pipeline, checked)).run()

    return blocking(planned_and_run)


async def _planned(pipeline: Pipeline, options: RunOptions) -> ActiveRun:
    """Plan a run; one that is decided already needs nothing of its input any more."""
    decided = None
    if options.journal is not None and options.run_id is not None:
        decided = await options.journal.decision(options.run_id)
    return ActiveRun(make_plan(pipeline, options.plan, decided=decided is not None), options)


def _cancellations() -> int:
    """How often the current task was cancelled."""
    task = asyncio.current_task()
    return 0 if task is None else task.cancelling()
