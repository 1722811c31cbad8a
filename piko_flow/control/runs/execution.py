"""One attempt of a run, from its parameters to its outcome."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Any

from piko_flow.control.dead_letters.replaying import REPLAY
from piko_flow.control.flows.run_context import Emitted, RunContext
from piko_flow.control.params.params import check_params
from piko_flow.control.params.redaction import LineRedaction, Redaction, secrets_in
from piko_flow.control.runs.cpu import RunCpu
from piko_flow.control.runs.emitting import Emissions
from piko_flow.control.runs.failure_record import (
    ToldAttempt,
    cause_of,
    hash_of,
    hiding,
    is_retryable,
    message_of,
    told_failure,
    type_of,
)
from piko_flow.control.runs.job_run import JobRun, OverTime, timed_out
from piko_flow.control.runs.journal import Ask
from piko_flow.control.runs.outcome import Outcome
from piko_flow.control.runs.pipeline_run import PipelineRun
from piko_flow.control.runs.replay_run import LettersUnknown, ReplayRun
from piko_flow.control.runs.run_order import RunOrder, RunTools
from piko_flow.dataflow.reports.failed_place import trace_of
from piko_flow.dataflow.reports.report import RunReport
from piko_flow.errors import CallExited, ClaimLost, RequestRefused
from piko_flow.planning.run_state import Reason, RunStatus
from piko_flow.store.records import RunRecord
from piko_flow.tasks import escape_failure, first_cause, uninterrupted

__all__ = ["ActiveExecution", "Ask", "Outcome", "RunOrder", "RunTools", "execute"]

log = logging.getLogger("piko_flow.executions")

STOPPING = 10.0  # seconds that code may take to end once it is cancelled, before that is told
LONGEST_TRACE = 100_000  # characters of a traceback in the log


class ActiveExecution:
    """One attempt in progress; what `run.cpu`, `run.emit` and `run.check_claim` reach."""

    def __init__(self, order: RunOrder, tools: RunTools) -> None:
        self.order, self._tools = order, tools
        job = order.flow.kind == "job"
        kind = ReplayRun if order.record.origin == REPLAY else JobRun if job else PipelineRun
        self._work: JobRun | PipelineRun = kind(order, tools, self._flush)
        self._reason: Reason | None = None
        self._began = self._ended = False
        self._stopping: asyncio.Task[None] | None = None
        self._cpu: RunCpu | None = None
        self._emissions: Emissions | None = None
        self._flushing = 0.0
        self._times: dict[str, Any] = {}
        self._dead: dict[str, Any] = {}
        self._params: object = None
        self.told: ToldAttempt | None = None
        """What is kept of the attempt for people, where it is."""

    async def run(self) -> Outcome:
        """Work to the end, on the loop it is called on; gives how it ended.

        Raises nothing that a flow can cause. Cancelling the caller cancels the run, and is raised when nothing
        of it is left; the way to stop it is `cancel`.
        """
        began, self._began = self._tools.clock.monotonic(), True
        report: RunReport | None = None
        error: BaseException | None = None
        try:
            if self._reason is None:
                report = await self._worked()
                if (
                    report is not None
                    and report.outcome == "succeeded"
                    and isinstance(self._work, PipelineRun)
                ):
                    self._dead = await self._work.dead(report)
        except (asyncio.CancelledError, SystemExit) as escape:
            others = _cancelled_by_others()
            error = escape_failure(escape, stopping=others) if self._reason is None or others else escape
        except KeyboardInterrupt as interrupt:
            if threading.current_thread() is threading.main_thread():
                raise  # somebody pressed the keys
            error = CallExited(None, interrupted=True)
            error.__cause__ = interrupt
        except OverTime as late:
            self._reason, error = self._reason or Reason.TIMEOUT, late
        except Exception as failure:
            error = failure
        self._ended = True
        if self._stopping is not None:
            self._stopping.cancel()
            await uninterrupted(asyncio.wait([self._stopping]))
        self._times = self._milliseconds(self._tools.clock.monotonic() - began)
        return self._outcome(report, error)

    def drain(self) -> None:
        """Let a pipeline read no more and what is inside flow out; a job just goes on."""
        self._work.drain()

    def cancel(self, reason: Reason = Reason.CANCELLED) -> None:
        """Stop now: CANCELLED for a person's wish, RELEASED to go back to the queue, TIMEOUT as a failure.

        The first reason counts. Without effect when the run is decided, or its function has ended.
        """
        if not self._ended and self._work.cancel():
            self._reason = self._reason or reason
            if self._stopping is None and self._began:
                self._stopping = asyncio.create_task(self._tell_unless_ended(), name="a run that is stopped")

    async def _tell_unless_ended(self) -> None:
        """Warn of code that goes on after it was cancelled, at twice the time each time."""
        run, waited = self.order.record, 0.0
        while True:
            pause = max(waited, STOPPING)
            await self._tools.clock.sleep(pause)
            waited += pause
            log.warning(
                "run %d of %r was told to stop %g s ago (%s) and goes on: its code catches CancelledError, or takes "
                "long to clean up",
                run.id,
                run.flow,
                waited,
                str(self._reason),
            )

    def cpu(self) -> RunCpu:
        """The run's share of the worker processes. Raises RuntimeError where there are none."""
        if self._cpu is None:
            if self._tools.pool is None:
                raise RuntimeError("this application has no worker processes: run.cpu cannot be used")
            self._cpu = RunCpu(self._tools.pool, self._tools.workers_per_run)
        return self._cpu

    async def emit(self, payload: Any, to: str, key: str | None) -> None:
        """Hand a payload to the writer in this run's name."""
        record = self.order.record
        if self._emissions is None:
            self._emissions = Emissions(self._redaction())
        if self._tools.writer is None:
            raise RequestRefused(what=f"emit to {to!r}", rule="a sink is registered", got="there is none")
        item = Emitted(payload, to, key, record.flow, record.id, record.scheduled_time)
        await self._tools.writer.emit(item, self._emissions)

    def _redaction(self) -> Redaction:
        names = Redaction.of(self.order.flow.redact, self._tools.redact)
        return names.knowing(secrets_in(self._params))

    async def check_claim(self) -> None:
        """Raise ClaimLost if the run was taken away; one question to the store."""
        record = self.order.record
        if not await self._tools.ask(lambda store: store.holds(record.id, record.claim)):
            raise ClaimLost(run=record.id, claim=record.claim)

    async def _worked(self) -> RunReport | None:
        timeout = self.order.flow.timeout
        if timeout is None:
            return await self._work.run(self._context())
        timer = asyncio.create_task(self._expire(timeout), name=f"timeout of run {self.order.record.id}")
        try:
            return await self._work.run(self._context())
        finally:
            timer.cancel()
            await asyncio.wait([timer])

    async def _expire(self, seconds: float) -> None:
        await self._tools.clock.sleep(seconds)
        self.cancel(Reason.TIMEOUT)

    def _context(self) -> RunContext[Any]:
        order, record = self.order, self.order.record
        version = order.version
        params = check_params(
            order.flow,
            None if version is None else version.text,
            record.params,
            schema_version=None if version is None else version.schema_version,
        )
        self._params = params
        if self.told is not None:
            self.told.params = params
        return RunContext(
            run_id=record.id,
            flow=record.flow,
            scheduled_time=record.scheduled_time,
            params=params,
            surroundings=self,
            window=record.window,
            attempt=record.attempt,
        )

    async def _flush(self) -> None:
        """Wait until what the run has emitted is written. Raises what a sink failed with."""
        if self._emissions is not None:
            began = self._tools.clock.monotonic()
            await self._emissions.flush()
            self._flushing += self._tools.clock.monotonic() - began

    def _milliseconds(self, seconds: float) -> dict[str, Any]:
        """The whole time, and how it divides into writing with committing, and the rest."""
        persist = self._flushing
        if isinstance(self._work, PipelineRun):
            persist += self._work.persist_seconds
        whole = round(seconds * 1000)
        persisting = min(round(persist * 1000), whole)
        return {"duration_ms": whole, "compute_ms": whole - persisting, "persist_ms": persisting}

    def _outcome(self, report: RunReport | None, error: BaseException | None) -> Outcome:
        work = self._work
        decided = isinstance(work, PipelineRun) and work.journal.asked_to_decide
        if error is not None and isinstance(cause_of(error), ClaimLost):
            return Outcome(RunStatus.QUEUED, Reason.RELEASED, **self._times)
        if error is not None and (self._reason is None or decided):
            return self._failed(error, decided=decided and not isinstance(error, LettersUnknown))
        if report is not None and report.outcome == "succeeded":
            assert isinstance(work, PipelineRun)
            return self._succeeded(report, work)
        if report is not None and report.outcome == "drained" and self._reason is None:
            return Outcome(RunStatus.QUEUED, Reason.RELEASED, report=report, **self._times)
        if self._reason is None:
            return Outcome(RunStatus.SUCCESS, **self._times)
        return self._stopped(self._reason, report, error)

    def _succeeded(self, report: RunReport, work: PipelineRun) -> Outcome:
        return Outcome(
            RunStatus.SUCCESS,
            **{"dead_items": report.dead, **self._dead},
            position=work.journal.position,
            within=work.last.write if len(work.last) else None,
            more=report.more,
            report=report,
            **self._times,
        )

    def _stopped(self, reason: Reason, report: RunReport | None, error: BaseException | None) -> Outcome:
        if reason is Reason.TIMEOUT:
            late = timed_out(self.order.flow.timeout, error)
            return self._failed(late, reason=reason, report=report)
        status = RunStatus.QUEUED if reason is Reason.RELEASED else RunStatus.CANCELLED
        return Outcome(status, reason, report=report, **self._times)

    def _failed(
        self,
        error: BaseException,
        *,
        reason: Reason = Reason.ERROR,
        decided: bool = False,
        report: RunReport | None = None,
    ) -> Outcome:
        record = self.order.record
        redaction = self._redaction()
        item = getattr(first_cause(error), "item", None)
        lines = LineRedaction(redaction) if self.told is None else self.told.redaction
        message = message_of(error, hiding(redaction, lines, item))
        if self.told is not None:
            self.told.failure = told_failure(error, message, redaction, lines)
        _log_traceback(record, error, redaction)
        return Outcome(
            RunStatus.FAILED,
            reason,
            error_type=type_of(error),
            error_hash=hash_of(error),
            error_msg=message,
            retryable=decided or is_retryable(error, self.order.flow.retry),
            decided=decided,
            report=report,
            **self._times,
        )


def _log_traceback(record: RunRecord, error: BaseException, redaction: Redaction) -> None:
    """For who asks for it; not where fields are to be hidden, as a traceback tells of items that are not known."""
    if not log.isEnabledFor(logging.DEBUG):
        return
    whole = trace_of(error, most=LONGEST_TRACE)
    trace = redaction.line(whole)
    shown = error if trace == whole and len(whole) < LONGEST_TRACE and not redaction.names else None
    told = f"\n{trace}" if shown is None and not redaction.names else ""
    log.debug(
        "run %d of %r failed in attempt %d%s", record.id, record.flow, record.attempt, told, exc_info=shown
    )


def _cancelled_by_others() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def execute(order: RunOrder, tools: RunTools) -> Outcome:
    """Run one attempt to its end; see ActiveExecution."""
    return await ActiveExecution(order, tools).run()
