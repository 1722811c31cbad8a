"""One cell of the matrix of stops: a run that has come to a moment, and what happens to it there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import anyio

from piko_flow import (
    ActiveRun,
    CommitFailed,
    Merge,
    Pipeline,
    ResourceFailed,
    Retry,
    RunReport,
    SilentObserver,
    Sink,
    Source,
    StageFailed,
    Transform,
    run,
    start,
)
from piko_flow.testing import RecordingTarget, Stall, turns, until
from tests.faults.stop_sources import FOR_EVER, Feed, Kind

BOUND: Final = 15.0  # seconds for each wait of a cell; a good one needs a fraction of one for all of them
TEARDOWN: Final = 0.4  # seconds, where something hangs; what does not hang ends in it, also on a busy machine
BEAT: Final = 0.005
FIRST = 4  # items before the source waits
SLICE = 20  # items of a slice that is read from a full channel
AGE = 0.05  # seconds of a slice
LATE = 0.02  # seconds that one attempt of the stage may take where that is what fails

STOPS = ("drain", "cancel", "cancel of the caller")
SLICED = ("max_items", "max_age")
FAILURES = ("failure of a stage", "timeout of a stage", "attempts of a stage used up")
RECOVERS = "attempt of a stage that recovers"
BREAKING = (
    "task of a resource",
    "anyio task of a resource",
    "scope of a resource",
    "fail_after of a resource",
)
CLOSE_RAISES = "close of a resource raises"
INTERRUPT = "interrupt of the caller"
"""Of `run_sync` alone: who awaits a run cancels it."""
EVENTS = (*STOPS, *SLICED, *FAILURES, RECOVERS, *BREAKING, CLOSE_RAISES)
ITEM_DECIDES = (*FAILURES, RECOVERS)
"""Events that happen when the stage works on an item."""

READING, BETWEEN, FULL = "reading", "between attempts", "on a full channel"
ABORT, COMMIT, SWEEP = "while abort hangs", "while commit hangs", "while sweep hangs"
CLOSING, CLOSING_FULL = "while the source does not close", "while the source of a full channel does not close"
CLOSING_RESOURCE = "while a resource does not close"
READ = "while a resource closes when all is read"
STEPS: dict[str, Any] = {ABORT: "abort", COMMIT: "commit", SWEEP: "sweep"}
CLOSINGS = (CLOSING, CLOSING_FULL)
MOMENTS = (READING, BETWEEN, FULL, READ, *STEPS, *CLOSINGS, CLOSING_RESOURCE)
PATIENT = (READING, BETWEEN, FULL, READ)
"""Moments at which nothing hangs that would not go on."""


class Refused(Exception):
    """What the stage raises."""


class Broken(Exception):
    """What a resource raises."""


@dataclass(frozen=True)
class Cell:
    """A kind of source, what happens, and when."""

    kind: Kind
    event: str
    moment: str

    def __str__(self) -> str:
        return f"{self.event}, {self.moment}, {self.kind}"

    @property
    def is_full(self) -> bool:
        """Whether the source is blocked on a full channel."""
        return self.moment in (FULL, CLOSING_FULL)

    @property
    def has_read(self) -> bool:
        """Whether the source has ended when the event happens."""
        return self.moment in (READ, COMMIT, SWEEP)

    @property
    def flows(self) -> bool:
        """Whether items flow all the time, because a plain source on the loop cannot wait for the next one."""
        return self.kind.waits == "never" and not (self.is_full or self.has_read or self.moment == BETWEEN)

    @property
    def waits_on_thread(self) -> bool:
        """Whether the source is inside a call on a thread."""
        return self.kind.waits == "thread" and not (self.is_full or self.has_read or self.moment == BETWEEN)

    @property
    def gave_nothing(self) -> bool:
        """Whether no item of the source can have reached the stage."""
        return self.moment == BETWEEN or (self.kind.name == "async def giving a list" and not self.is_full)


@dataclass(frozen=True)
class NotedRetry(Retry):
    """A Retry that notes the waits between attempts."""

    waits: list[int] = field(default_factory=list)

    def delay(self, attempt: int) -> float:
        """Seconds to wait after the attempt."""
        self.waits.append(attempt)
        return super().delay(attempt)


class Gate:
    """A stage that lets items pass; it may hold the first until `go` is set, and others until `opened` is."""

    def __init__(self, *, holds_first: bool, holds: bool) -> None:
        self.holds_first, self.holds = holds_first, holds
        self.go, self.opened = asyncio.Event(), asyncio.Event()
        self.seen = 0

    async def __call__(self, item: int) -> int:
        self.seen += 1
        if self.holds_first and self.seen == 1:
            await self.go.wait()
        elif self.holds:
            await self.opened.wait()
        return item

    def plain(self, item: int) -> int:
        """The same for who cannot wait."""
        self.seen += 1
        return item


class Work:
    """The stage that fails; `calls` counts those since the event."""

    def __init__(self, event: str, go: asyncio.Event) -> None:
        self.event, self.go, self.calls = event, go, 0

    async def __call__(self, item: int, client: str) -> int:
        if self.event not in ITEM_DECIDES or not self.go.is_set():
            return item
        self.calls += 1
        if self.event == "timeout of a stage":
            await asyncio.Event().wait()
        if self.event == RECOVERS and self.calls > 1:
            return item
        raise Refused(item)

    def plain(self, item: int, client: str) -> int:
        """The same where nothing of the stage fails."""
        return item

    def options(self) -> dict[str, Any]:
        """Those of the stage."""
        if self.event == "timeout of a stage":
            return {"timeout": LATE}
        retried = self.event in (RECOVERS, "attempts of a stage used up")
        return {"retry": Retry(3, first=0)} if retried else {}


class Client:
    """The resource of the stage, which may break while it is open, and hang or raise while it is closed."""

    def __init__(self, event: str, *, hangs: bool) -> None:
        self.event, self.hangs = event, hangs
        self.opened = self.closing = self.closed = 0
        self.may_close = asyncio.Event()
        self.breaks: Callable[[], object] = lambda: None

    @asynccontextmanager
    async def open(self) -> AsyncIterator[str]:
        """Open it for a run."""
        async with self._owner():
            self.opened += 1
            try:
                yield "client"
            finally:
                self.closing += 1
                if self.hangs:
                    await self.may_close.wait()
                self.closed += 1
        if self.event == CLOSE_RAISES:
            raise Broken("it does not close")

    @asynccontextmanager
    async def _owner(self) -> AsyncIterator[None]:
        broken = asyncio.Event()
        self.breaks = broken.set

        async def breaks() -> None:
            await broken.wait()
            raise Broken("the connection is gone")

        if self.event == "task of a resource":
            async with asyncio.TaskGroup() as tasks:
                breaking = tasks.create_task(breaks())
                yield
                breaking.cancel()
        elif self.event == "anyio task of a resource":
            async with anyio.create_task_group() as group:
                group.start_soon(breaks)
                yield
                group.cancel_scope.cancel()
        elif self.event == "scope of a resource":
            with anyio.CancelScope() as scope:
                self.breaks = scope.cancel
                yield
        elif self.event == "fail_after of a resource":
            with anyio.fail_after(3600) as limit:
                self.breaks = lambda: setattr(limit, "deadline", anyio.current_time())
                yield
        else:
            yield


class SourceTimes(SilentObserver):
    """Notes when the source of a run began and ended, by the clock of the run's loop, and when that loop stood still."""

    def __init__(self) -> None:
        self.began = self.ended = float("inf")
        self.when_run_starts: Callable[[], object] = lambda: None
        self._stalls: list[tuple[float, float]] = []

    def run_started(self, run: str, pipeline: str, units: int) -> None:
        self._beat(asyncio.get_running_loop(), float("inf"))
        self.when_run_starts()

    def run_ended(self, report: RunReport | None, error: BaseException | None) -> None:
        self._stalls.append((self._timer.when(), asyncio.get_running_loop().time()))
        self._timer.cancel()

    def stage_started(self, stage: str) -> None:
        if stage == "source":
            self.began = asyncio.get_running_loop().time()

    def stage_ended(self, stage: str) -> None:
        if stage == "source":
            self.ended = asyncio.get_running_loop().time()

    def stalled(self, begins: float, ends: float) -> float:
        """Seconds between the two that beats of the loop were late: a machine that stands still is not counted."""
        return sum(max(min(ran, ends) - max(due, begins), 0.0) for due, ran in self._stalls)

    def _beat(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        self._stalls.append((due, loop.time()))
        self._timer = loop.call_later(BEAT, self._beat, loop, loop.time() + BEAT)


class World:
    """The run of one cell, and what the test holds of it."""

    def __init__(self, cell: Cell) -> None:
        self.cell = cell
        self.feed = Feed(
            waits_after=FIRST if cell.kind.waits != "never" and not cell.is_full else None,
            ends_after=FIRST if cell.has_read and cell.event not in SLICED else None,
            fails=FOR_EVER if cell.moment == BETWEEN else 0,
            hangs=cell.moment in CLOSINGS,
        )
        if cell.has_read:
            self.feed.waits_after = FIRST if cell.event == "max_age" and cell.kind.waits == "loop" else None
        decides = cell.event in ITEM_DECIDES
        self.gate = Gate(holds_first=decides and not cell.flows, holds=cell.is_full)
        self.work = Work(cell.event, self.gate.go)
        self.client = Client(cell.event, hangs=cell.moment in (READ, CLOSING_RESOURCE))
        self.stall = Stall()
        step = STEPS.get(cell.moment)
        self.target: RecordingTarget[int] = RecordingTarget(faults={step: [self.stall]} if step else {})
        self.retry = NotedRetry(5, first=30)
        self.active: ActiveRun | None = None
        self.source = SourceTimes()
        self.requested = 0.0  # when the stop was requested, by the clock of the loop

    def pipeline(self) -> Pipeline:
        """The source, the gate, the stage with its resource, and a sink with a target."""
        cell, options = self.cell, dict[str, Any]()
        if cell.moment == BETWEEN:
            options["retry"] = self.retry
        if cell.event == "max_items":
            options["max_items"] = SLICE if cell.is_full else FIRST
        if cell.event == "max_age":
            options["max_age"] = AGE
        read: Any = cell.kind.source(self.feed, **options)
        if cell.gave_nothing and cell.event in ITEM_DECIDES:
            read = Merge(read, Source([0], name="one item"))
        plain = cell.flows and cell.event in (*STOPS, *SLICED, CLOSE_RAISES)
        gate: Any = self.gate.plain if plain else self.gate
        work: Any = self.work.plain if plain else self.work
        used = Transform(work, uses={"client": self.client.open}, name="work", **self.work.options())
        return read >> Transform(gate, name="gate") >> used >> Sink(self.target, name="target")  # type: ignore[no-any-return]

    def options(self) -> dict[str, Any]:
        """Those of the run."""
        options: dict[str, Any] = {"observer": self.source}
        if self.cell.is_full:
            options["capacity"] = 2
        if self.cell.moment not in PATIENT:
            options["teardown"] = TEARDOWN
        return options

    async def run(self) -> RunReport:
        """Run it as the caller whom the event concerns does."""
        options = self.options()
        if self.cell.event == "cancel of the caller":
            return await run(self.pipeline(), **options)
        async with start(self.pipeline(), **options) as self.active:
            return await self.active.wait()

    def request(self, at: float | None = None) -> None:
        """Note that the stop is requested now, or at another moment."""
        self.requested = asyncio.get_running_loop().time() if at is None else at

    @property
    def noticed_after(self) -> float:
        """Seconds from the request of the stop until the source had ended, or had been interrupted and was closing."""
        noticed = min(self.source.ended, self.feed.left)
        return noticed - self.requested - self.source.stalled(self.requested, noticed)

    async def reached(self, ended: Callable[[], bool]) -> None:
        """Wait until the run is at the moment of the cell, or has ended before."""
        cell = self.cell

        async def come(holds: Callable[[], object]) -> None:
            await until(lambda: holds() or ended(), within=BOUND)

        if cell.has_read:
            await come(lambda: self.client.closing if cell.moment == READ else self.stall.reached.is_set())
            return
        await come(lambda: self.client.opened)
        if cell.moment == BETWEEN:
            await come(lambda: self.retry.waits)
        elif cell.is_full:
            await come(lambda: self.gate.seen)
            await self._blocked()
        elif cell.event in SLICED:
            return  # the age and the number of the items decide
        elif cell.flows:
            await come(lambda: self.gate.seen >= FIRST)
        else:
            await come(lambda: self.feed.waiting)
        if self.gate.holds_first:
            await come(lambda: self.gate.seen)
        elif not (cell.is_full or cell.gave_nothing or cell.waits_on_thread):
            await come(lambda: self.written >= FIRST)

    @property
    def written(self) -> int:
        """How many items the sink was given."""
        return sum(len(call.items) for call in self.target.record.calls)

    async def _blocked(self) -> None:
        """Wait until the source gives no more items."""
        before = -1
        while before != self.feed.given:
            before = self.feed.given
            await turns(50)

    def release(self) -> None:
        """Let go on whatever still waits for the test."""
        self.feed.release()
        self.feed.let_close()
        self.gate.go.set()
        self.gate.opened.set()
        self.client.may_close.set()
        self.stall.release()


def ended(
    task: Future[RunReport] | asyncio.Task[RunReport],
) -> tuple[str, BaseException | None, tuple[str, ...]]:
    """The outcome or the name of the error, the error, and what is left behind."""
    try:
        report = task.result()
    except (CommitFailed, ResourceFailed, StageFailed) as error:
        return type(error).__name__, error, error.leftovers
    except BaseException as error:
        cancelled = (
            error.__context__ if isinstance(error, KeyboardInterrupt) else error
        )  # which has the notes
        notes = getattr(cancelled, "__notes__", [])
        return type(error).__name__, error, tuple(notes)
    return report.outcome, None, report.leftovers
