"""The control half of one process: a replica on a thread of its own, its runs on another."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
from collections.abc import Awaitable, Callable
from concurrent.futures import CancelledError, Future
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from datetime import datetime
from typing import Any, TypeVar

from piko_flow.clock import Clock, SystemClock
from piko_flow.control.dead_letters.letter_files import letter_files
from piko_flow.control.flows.flow import Flow
from piko_flow.control.flows.registry import Registry
from piko_flow.control.flows.run_context import Emitted
from piko_flow.control.loop_thread import LoopThread
from piko_flow.control.notices.notices import notices_of
from piko_flow.control.operations.plane import ControlPlane
from piko_flow.control.options import ReplicaOptions
from piko_flow.control.replica.replica import Replica
from piko_flow.control.replica.replica_loops import ReplicaLoops
from piko_flow.control.replica.survey import Survey
from piko_flow.control.replica.watch import LoopWatch
from piko_flow.control.runs.emitting import Writer
from piko_flow.control.runs.runs_thread import RunsThread
from piko_flow.control.watched import Watched
from piko_flow.errors import StoreUnavailable, describe_error
from piko_flow.retry import retry_delay
from piko_flow.store.protocols import Store
from piko_flow.store.records import ReplicaRecord

T = TypeVar("T")
STILL = 30.0  # seconds without a tick after which the control loop is taken for dead
SLOW = 5.0  # seconds beyond the poll's own after which the store is said not to answer

log = logging.getLogger("piko_flow.service")


def replica_record(
    slots: int, version: str = "", *, started_at: datetime | None = None, address: str = ""
) -> ReplicaRecord:
    """This process as a replica: an id that no other process has or had, its host and pid."""
    host, pid = socket.gethostname(), os.getpid()
    name = f"{host[:60]}-{pid}-{secrets.token_hex(4)}"
    return ReplicaRecord(
        name, host, pid, slots=slots, version=version, started_at=started_at, address=address
    )


class ControlService:
    """Schedules and runs flows from `start` to `stop`; both are awaited on the loop of whoever owns it.

    `open_store` is entered on the control thread, to whose loop the store belongs then.
    """

    def __init__(
        self,
        *,
        open_store: Callable[[], AbstractAsyncContextManager[Store]],
        registry: Registry[Flow],
        options: ReplicaOptions,
        writer: Writer | None = None,
        cpu_workers: int | None = None,
        workers_per_run: int = 8,
        version: str = "",
        clock: Clock | None = None,
        watched: Watched | None = None,
    ) -> None:
        self._watched = watched or Watched()
        self._open_store, self._registry, self.options = open_store, registry, options
        self._writer, self._clock = writer or Writer(), clock or SystemClock()
        self._cpu_workers, self._workers_per_run = cpu_workers, workers_per_run
        started_at = self._clock.now()
        self.record = replica_record(options.slots, version, started_at=started_at, address=options.address)
        self._slow = options.poll_every.total_seconds() + SLOW
        self._thread = LoopThread("piko-flow control")
        self._serving: Future[None] | None = None
        self._stop: asyncio.Event | None = None
        self._plane: ControlPlane | None = None
        self._stopping = False
        self._waits_for = ""
        self._runs: RunsThread | None = None
        self.replica: Replica | None = None
        self.watch: LoopWatch | None = None

    async def start(self) -> None:
        """Open the store and begin. Raises what the store raises when it cannot be opened; then nothing runs."""
        await self._thread.__aenter__()
        ready: Future[None] = Future()
        self._serving = self._thread.submit(lambda: self._serve(ready))
        self._serving.add_done_callback(lambda done: _pass_on(done, ready))
        try:
            await asyncio.wrap_future(ready)
        except BaseException:
            await self._thread.__aexit__(None, None, None)
            raise

    async def stop(self) -> None:
        """Drain within the budget, give back what is left, close the store. Raises what ended the service before."""
        assert self._serving is not None
        self._stopping = True
        try:
            if self._stop is not None and not self._serving.done():
                self._thread.loop.call_soon_threadsafe(self._stop.set)
            elif self._stop is None:
                self._serving.cancel()  # it still waits for the store
            with suppress(asyncio.CancelledError, CancelledError):
                await asyncio.wrap_future(self._serving)
        finally:
            await self._thread.__aexit__(None, None, None)

    @property
    def runs_thread(self) -> LoopThread:
        """The thread on whose loop runs are executed. Raises RuntimeError while the service is not running."""
        if self._runs is None:
            raise RuntimeError("the service is not running")
        return self._runs.thread

    async def call(self, ask: Callable[[ControlPlane], Awaitable[T]]) -> T:
        """Ask the plane something, from any loop; done on the control thread."""
        plane = self._plane
        if plane is None:
            raise StoreUnavailable(what="do that", reason=self._waits_for or "the service has not started")
        return await self._thread.call(lambda: ask(plane))

    async def emit(self, payload: Any, *, to: str, key: str | None = None) -> None:
        """Hand a payload to a sink from outside of a run, from any loop; returns when it has been written."""
        if self._runs is None:
            raise RuntimeError("nothing can be emitted: the service is not running")
        await self._runs.emit(Emitted(payload, to, key))

    def lives(self) -> list[str]:
        """What keeps this process from working at all, empty when nothing does; from any thread."""
        if self._serving is not None and self._serving.done() and not self._stopping:
            error = None if self._serving.cancelled() else self._serving.exception()
            return [f"the control thread ended: {describe_error(error, 200) if error else 'for no reason'}"]
        if self.replica is not None and self._clock.monotonic() - self.replica.ticked_at > STILL:
            return [f"the control loop has stood still for more than {STILL:g} s"]
        return []

    def readiness(self) -> tuple[str, list[str]]:
        """The role of this replica, and what keeps it from working; from any thread."""
        if self._stopping:
            return "draining", ["it drains: it takes no new runs"]
        if self.replica is None:
            return "starting", [self._waits_for or "it has not started yet"]
        problems = self.lives()
        if self.replica.store_failure:
            problems.append(self.replica.store_failure)
        elif not problems and (waits := self._clock.monotonic() - self.replica.ticked_at) > self._slow:
            problems.append(f"the store has not answered for {waits:.0f} s")
        if self.watch is not None and self.watch.blocked_by:
            problems.append(f"the loop of runs is held by {self.watch.blocked_by}")
        return "leader" if self.replica.leads else "standby", problems

    async def _open(self, stack: AsyncExitStack) -> Store:
        failures = 0
        while True:
            try:
                return await stack.enter_async_context(self._open_store())
            except StoreUnavailable as error:
                if not self.options.patient:
                    raise
                failures, self._waits_for = failures + 1, str(error)
                log.warning("%s; trying again", error)
                await self._clock.sleep(retry_delay(failures, first=1.0, limit=30.0))

    async def _serve(self, ready: Future[None]) -> None:
        if self.options.patient:
            ready.set_result(None)
        async with AsyncExitStack() as stack:
            store = await self._open(stack)
            replica = Replica(
                store=store,
                registry=self._registry,
                record=self.record,
                options=self.options,
                clock=self._clock,
            )
            replica.recorder.figures = self._watched.figures
            runs = RunsThread(
                replica=self.record.id,
                watched=self._watched,
                store=store,
                ended=replica.worker.ended,
                clock=self._clock,
                writer=self._writer,
                redact=self.options.redact,
                files=letter_files(self.options, store.url),
                cpu_workers=self._cpu_workers,
                workers_per_run=self._workers_per_run,
            )
            await stack.enter_async_context(runs)
            await self._work(store, replica, runs, ready)

    def _surveys(self, store: Store, replica: Replica) -> list[Callable[[], Awaitable[None]]]:
        if not (self._watched.surveys or self.options.notices.wanted):
            return []
        survey = Survey(replica=replica, store=store, figures=self._watched.figures)
        surveys: list[Callable[[], Awaitable[None]]] = [survey.step]
        if self.options.notices.wanted:
            notices = notices_of(replica, store, self._registry, self._clock, lambda: survey.seen)
            surveys.append(notices.step)
        return surveys

    async def _work(self, store: Store, replica: Replica, runs: RunsThread, ready: Future[None]) -> None:
        """Take the replica's steps until the end is asked for."""
        self._runs = replica.worker.runs = runs
        after = self.options.blocked_after.total_seconds()
        self.watch = LoopWatch(runs.thread, after=after, clock=self._clock)
        self.replica = replica
        self._plane = ControlPlane(
            store=store,
            registry=self._registry,
            options=self.options,
            clock=self._clock,
            replica=replica,
            sinks=self._writer.names,
            failing_spools=lambda: self._watched.figures.spool_failing,
        )
        self._stop = asyncio.Event()
        if self._stopping:
            self._stop.set()
        if not ready.done():
            ready.set_result(None)
        try:
            await ReplicaLoops(
                replica, clock=self._clock, look=self.watch.look, surveys=self._surveys(store, replica)
            ).run(self._stop)
        finally:
            self._runs = None


def _pass_on(done: Future[None], ready: Future[None]) -> None:
    """What ended before it was ready tells why to whoever waits for it."""
    if not ready.done():
        error = done.exception() if not done.cancelled() else None
        ready.set_exception(error or RuntimeError("the control thread ended before it was ready"))
