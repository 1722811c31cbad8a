"""What runs leave for people to read: their lines, their reports, and where they are while they run."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any

from piko_flow.clock import Clock
from piko_flow.connectors.spool_errors import SpoolClosed
from piko_flow.control.params.redaction import LineRedaction
from piko_flow.control.runs.detail_writing import DetailAsk, DetailWriting
from piko_flow.control.runs.failure_record import ToldAttempt
from piko_flow.control.runs.outcome import Outcome
from piko_flow.control.runs.run_order import RunOrder
from piko_flow.control.timing import woken
from piko_flow.dataflow.reports.facts import Progress
from piko_flow.dataflow.reports.observer import Observer
from piko_flow.dataflow.reports.report import RunReport
from piko_flow.dataflow.running.run import ActiveRun
from piko_flow.errors import StageFailed
from piko_flow.store.ops_records import LogLine, RunDetail
from piko_flow.telemetry.figures import Figures, Labels
from piko_flow.telemetry.json_line import json_line
from piko_flow.telemetry.logged_run import LoggedRun, logged_run
from piko_flow.telemetry.run_lines import Line
from piko_flow.telemetry.stage_context import StageContext
from piko_flow.telemetry.stage_counts import StageCounts
from piko_flow.telemetry.traceparent import trace_of

if TYPE_CHECKING:
    from piko_flow.connectors.spool import LiveSpool
    from piko_flow.telemetry.spans import Spans


class RunWatch:
    """Follows a run of a pipeline on its loop; nothing is paid between two looks."""

    def __init__(
        self, order: RunOrder, active: ActiveRun, figures: Figures, redaction: LineRedaction
    ) -> None:
        self.run, self.attempt, self.flow = order.record.id, order.record.attempt, order.record.flow
        self._active, self._redaction = active, redaction
        self._counts = StageCounts(self.flow, figures)
        self._shown: Progress | None = None

    def look(self) -> Progress:
        """Where the run stands; what has come since the last look is counted."""
        progress = self._active.progress()
        self._counts.look(progress)
        return progress

    def fill(self, progress: Progress) -> dict[Labels, float]:
        """How full the channels are, by the stage that they lead to."""
        plan, fullest = self._active.plan, dict[Labels, float]()
        for channel in plan.channels:
            edge = progress.edges[channel.edge]
            labels = (self.flow, edge.end)
            fullest[labels] = max(fullest.get(labels, 0.0), min(edge.left / channel.capacity.items, 1.0))
        return fullest

    def live_text(self, progress: Progress) -> str:
        """Where the run stands, as JSON: progress, the bottleneck, how full the channels are, and by stage the items a
        second since this was asked last.
        """
        fill = {stage: round(part, 3) for (_, stage), part in self.fill(progress).items()}
        values = {
            **values_of(progress),
            "attempt": self.attempt,
            "fill": fill,
            "rates": rates(self._shown, progress),
        }
        self._shown = progress
        return json_line(values)

    def ended(self, report: RunReport | None, error: BaseException | None) -> dict[str, Any]:
        """The account of the attempt as JSON values: its report, or how far it came when it failed. No items are in it."""
        progress = self.look()
        if isinstance(error, StageFailed):
            self._counts.failed(error.stage)
        if report is None:
            return {**values_of(progress), "outcome": "failed"}
        values = {**report.to_dict(), "dead_letters": [], "position": None}  # they are kept by themselves
        values["written"] = [self._redaction(line) for line in report.written]
        values["leftovers"] = [self._redaction(line) for line in report.leftovers]
        return values


def rates(before: Progress | None, now: Progress) -> dict[str, float]:
    """By stage the items a second that it gave (a sink: took) between two looks; since the begin without a first one."""
    earlier = {} if before is None else {stage.name: stage for stage in before.stages}
    seconds = now.seconds - (0.0 if before is None else before.seconds)
    if seconds <= 0:
        return {}
    got = {}
    for stage in now.stages:
        old = earlier.get(stage.name)
        what = "received" if stage.kind == "Sink" else "emitted"
        items = getattr(stage, what) - (0 if old is None else getattr(old, what))
        got[stage.name] = round(max(items, 0) / seconds, 3)
    return got


def values_of(progress: Progress) -> dict[str, Any]:
    """Progress as JSON-able values, with the bottleneck."""
    return {
        "run": progress.run,
        "seconds": round(progress.seconds, 3),
        "stages": [asdict(stage) for stage in progress.stages],
        "edges": [asdict(edge) for edge in progress.edges],
        "units": progress.units,
        "units_done": progress.units_done,
        "bottleneck": progress.bottleneck,
    }


EVERY = 2.0  # seconds between two looks at what is at work
GATHERED = 0.25  # seconds after a write in which what comes waits for the next one
CLOSING = 5.0  # seconds that the last lines may take to be written

log = logging.getLogger("piko_flow.details")


class RunDetails:
    """Follows the runs of a replica, on the loop that executes them; an async context manager.

    Nothing is asked of the store for a plain job that succeeds and logs nothing. Lines are written in groups, at most EVERY seconds
    after they came, and at the end of their attempt; while pipelines run, where they are is shown as often. What
    many runs leave at their ends is written together, at most GATHERED seconds later than one alone would be.
    """

    def __init__(
        self,
        *,
        ask: DetailAsk,
        clock: Clock,
        replica: str,
        figures: Figures | None = None,
        spans: Spans | None = None,
        redact: tuple[str, ...] = (),
        spools: Callable[[], Mapping[str, LiveSpool]] = dict,
    ) -> None:
        self._clock, self._redact = clock, redact
        self._figures, self._spans, self._spools = figures or Figures(), spans, spools
        self._writing = DetailWriting(ask, replica)
        self._watches: dict[int, RunWatch] = {}
        self._told: dict[int, ToldAttempt] = {}
        self._speaking: dict[int, LoggedRun] = {}
        self._wake = asyncio.Event()
        self._next_look = 0.0
        self._shown = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> RunDetails:
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.create_task(self._run(), name="details of runs")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write what is left, for at most CLOSING seconds."""
        assert self._task is not None
        self._task.cancel()
        await asyncio.wait([self._task])
        try:
            async with asyncio.timeout(CLOSING):
                await self._writing.write()
        except TimeoutError:
            log.warning("the last log lines and reports of runs could not be written in time")

    async def follow(
        self, order: RunOrder, told: ToldAttempt, work: Callable[[], Awaitable[Outcome]]
    ) -> Outcome:
        """The outcome of an attempt's work, done in the name of its run: its lines are kept, and it has a span."""
        record = order.record
        logged = LoggedRun(
            record.id, record.flow, record.attempt, self._spoke, trace_of(record.trace), told.hide
        )
        logged_run.set(logged)
        self._told[record.id] = told
        try:
            if self._spans is None:
                return await work()
            with self._spans.run(facts_of(order), record.trace) as span:
                logged.trace = span.trace
                outcome = await work()
                span.ended(str(outcome.status), outcome.error_type)
                return outcome
        finally:
            del self._told[record.id]
            self._keep_report(order, told)
            if logged.lines is not None:
                self._speaking.pop(record.id, None)
                self._keep_lines(logged, told, logged.lines.take_rest())
                self._wake.set()

    def told(self, order: RunOrder) -> ToldAttempt:
        """What is to be known of an attempt that begins."""
        return ToldAttempt(order.flow.redact, self._redact)

    def observer(self) -> Observer:
        """The observer of a pipeline of the current run."""
        return StageContext() if self._spans is None else self._spans.stages()

    @contextmanager
    def watching(self, order: RunOrder, active: ActiveRun) -> Iterator[Callable[[RunReport], None]]:
        """Inside the block the pipeline is looked at now and then; its account is kept when the attempt has ended.

        The function that the block gets takes the report of a run that has one.
        """
        told = self._told.get(order.record.id) or self.told(order)
        watch = RunWatch(order, active, self._figures, told.redaction)
        if not self._watches:
            self._next_look = self._clock.monotonic() + EVERY
            self._wake.set()
        self._watches[watch.run] = watch
        reports: list[RunReport] = []
        failure: BaseException | None = None
        try:
            yield reports.append
        except BaseException as error:
            failure = error
            raise
        finally:
            del self._watches[watch.run]
            told.account = watch.ended(reports[0] if reports else None, failure)
            if watch.run not in self._told:  # else it is kept with the error that ended the attempt
                self._keep_report(order, told)

    def _keep_report(self, order: RunOrder, told: ToldAttempt) -> None:
        run, attempt, text = order.record.id, order.record.attempt, told.report()
        if text is not None:
            self._writing.add(RunDetail(run, attempt, text))
            self._wake.set()

    def _spoke(self, logged: LoggedRun) -> None:
        """From any thread: a run has logged its first line."""
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._speaks, logged)

    def _speaks(self, logged: LoggedRun) -> None:
        if logged.run in self._told:  # else it has ended meanwhile, and its lines are taken
            self._speaking[logged.run] = logged
            self._wake.set()

    def _keep_lines(self, logged: LoggedRun, told: ToldAttempt, lines: list[Line]) -> None:
        if lines:
            kept = tuple(log_line(line, logged.attempt, told.redaction) for line in lines)
            self._writing.add(RunDetail(logged.run, logged.attempt, lines=kept))

    async def _run(self) -> None:
        while True:
            at_work = bool(
                self._watches or self._speaking or self._writing.waiting or self._spools() or self._shown
            )
            await woken(self._wake, EVERY if at_work else None)
            try:
                if self._clock.monotonic() >= self._next_look:
                    self._next_look = self._clock.monotonic() + EVERY
                    await self._look()
                if self._writing.waiting:
                    await self._writing.write()
                    await asyncio.sleep(GATHERED)
            except Exception:
                log.exception("the details of runs could not be kept; they are tried again")

    async def _look(self) -> None:
        """Look at what is at work: count it, show it, and take the first lines of runs that go on."""
        texts, fill = dict[int, str](), dict[Labels, float]()
        for watch in list(self._watches.values()):
            progress = watch.look()
            for (flow, stage), part in watch.fill(progress).items():
                labels = flow, self._figures.stage_of(flow, stage)
                fill[labels] = max(fill.get(labels, 0.0), part)
            texts[watch.run] = watch.live_text(progress)
        self._figures.channel_fill = fill
        for run, logged in list(self._speaking.items()):
            if logged.lines is not None and run in self._told:
                self._keep_lines(logged, self._told[run], logged.lines.take_first())
        if texts or self._shown:
            self._shown = bool(texts)
            self._writing.show(texts)
        await self._look_at_spools()

    async def _look_at_spools(self) -> None:
        states = []
        for spool in self._spools().values():
            with suppress(SpoolClosed):  # it is being closed, or what ended it is told where that happened
                states.append(await spool.state())
        self._figures.spool_items = {(state.name,): state.items for state in states}
        self._figures.spool_age = {(state.name,): state.age for state in states}
        self._figures.spool_failing = {state.name: state.failing for state in states if state.failing}


def log_line(line: Line, attempt: int, redaction: LineRedaction) -> LogLine:
    """A line as the store keeps it, without what is secret."""
    at = datetime.fromtimestamp(line.created, UTC)
    return LogLine(at, line.level, line.logger, redaction(line.message), line.stage, attempt)


def facts_of(order: RunOrder) -> dict[str, str | int | float | bool]:
    """What the span of an attempt tells of its run."""
    from piko_flow.telemetry import names

    record = order.record
    facts: dict[str, str | int | float | bool] = {
        names.RUN_ID: record.id,
        names.FLOW_NAME: record.flow,
        names.ATTEMPT: record.attempt,
        names.SCHEDULED: record.scheduled_time.isoformat(),
    }
    if record.window is not None:
        facts[names.WINDOW_START] = record.window.start.isoformat()
        facts[names.WINDOW_END] = record.window.end.isoformat()
    return facts
