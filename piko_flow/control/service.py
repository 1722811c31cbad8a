"""The control half of one process: a replica on a thread of its own, its runs on another."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from typing import TypeVar

from piko_flow.clock import Clock, SystemClock
from piko_flow.control.emitting import Writer
from piko_flow.control.flow import Flow
from piko_flow.control.loop_thread import LoopThread
from piko_flow.control.options import ReplicaOptions
from piko_flow.control.plane import ControlPlane
from piko_flow.control.registry import Registry
from piko_flow.control.replica import Replica
from piko_flow.control.replica_loops import ReplicaLoops
from piko_flow.control.runs_thread import RunsThread
from piko_flow.control.watch import LoopWatch
from piko_flow.store.protocols import Store
from piko_flow.store.records import ReplicaRecord

T = TypeVar("T")


def replica_record(slots: int, version: str = "") -> ReplicaRecord:
    """This process as a replica: an id that no other process has or had, its host and pid."""
    host, pid = socket.gethostname(), os.getpid()
    return ReplicaRecord(f"{host[:60]}-{pid}-{secrets.token_hex(4)}", host, pid, slots=slots, version=version)


class ControlService:
    """Schedules and runs flows from `start` to `stop`; both are awaited on the loop of whoever owns it.

    `open_store` is called on the control thread, to whose loop the store belongs then.
    """

    def __init__(
        self,
        *,
        open_store: Callable[[], Awaitable[Store]],
        registry: Registry[Flow],
        options: ReplicaOptions,
        writer: Writer | None = None,
        cpu_workers: int | None = None,
        workers_per_run: int = 8,
        version: str = "",
        clock: Clock | None = None,
    ) -> None:
        self._open_store, self._registry, self.options = open_store, registry, options
        self._writer, self._clock = writer or Writer(), clock or SystemClock()
        self._cpu_workers, self._workers_per_run = cpu_workers, workers_per_run
        self.record = replica_record(options.slots, version)
        self._thread = LoopThread("piko-flow control")
        self._serving: Future[None] | None = None
        self._stop: asyncio.Event | None = None
        self._plane: ControlPlane | None = None
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
        try:
            if self._stop is not None and not self._serving.done():
                self._thread.loop.call_soon_threadsafe(self._stop.set)
            await asyncio.wrap_future(self._serving)
        finally:
            await self._thread.__aexit__(None, None, None)

    async def call(self, ask: Callable[[ControlPlane], Awaitable[T]]) -> T:
        """Ask the plane something, from any loop; done on the control thread."""
        plane = self._plane
        assert plane is not None
        return await self._thread.call(lambda: ask(plane))

    async def _serve(self, ready: Future[None]) -> None:
        store = await self._open_store()
        try:
            replica = Replica(
                store=store,
                registry=self._registry,
                record=self.record,
                options=self.options,
                clock=self._clock,
            )
            runs = RunsThread(
                store=store,
                ended=replica.worker.ended,
                clock=self._clock,
                writer=self._writer,
                cpu_workers=self._cpu_workers,
                workers_per_run=self._workers_per_run,
            )
            async with runs:
                replica.worker.runs = runs
                after = self.options.blocked_after.total_seconds()
                self.watch = LoopWatch(runs.thread, after=after, clock=self._clock)
                self.replica = replica
                self._plane = ControlPlane(
                    store=store,
                    registry=self._registry,
                    options=self.options,
                    clock=self._clock,
                    replica=replica,
                )
                self._stop = asyncio.Event()
                ready.set_result(None)
                await ReplicaLoops(replica, clock=self._clock, look=self.watch.look).run(self._stop)
        finally:
            await store.close()


def _pass_on(done: Future[None], ready: Future[None]) -> None:
    """What ended before it was ready tells why to whoever waits for it."""
    if not ready.done():
        error = done.exception() if not done.cancelled() else None
        ready.set_exception(error or RuntimeError("the control thread ended before it was ready"))
