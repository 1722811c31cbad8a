"""Executing runs on a thread of their own, so that user code never holds the loops that keep the lease."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from types import TracebackType
from typing import TypeVar

from piko_flow.clock import Clock
from piko_flow.connectors.spool import LiveSpool
from piko_flow.control.dead_letters.letter_files import LetterFiles
from piko_flow.control.flows.run_context import Emitted
from piko_flow.control.loop_thread import LoopThread
from piko_flow.control.mailbox import Mailbox
from piko_flow.control.params.redaction import Redaction
from piko_flow.control.runs.emitting import Emissions, Writer
from piko_flow.control.runs.execution import STOPPING, RunOrder, RunTools
from piko_flow.control.runs.executions import Executions
from piko_flow.control.runs.journal import Ask
from piko_flow.control.runs.outcome import Outcome
from piko_flow.control.runs.run_details import RunDetails
from piko_flow.control.watched import Watched
from piko_flow.dataflow.stages.resource_host import ResourcePool
from piko_flow.dataflow.workers.pool import WorkerPool
from piko_flow.errors import StoreUnavailable
from piko_flow.planning.run_state import Reason
from piko_flow.store.protocols import Store
from piko_flow.store.records import DeadLetterRecord

EVERY = timedelta(minutes=10)
# A file may be there before the row that names it: the end of a run waits for the store.
YOUNG = timedelta(hours=6)

log = logging.getLogger("piko_flow.letters")


async def sweep(files: LetterFiles, ask: Ask, clock: Clock) -> int:
    """Delete the files of this computer that no open letter names, but for young ones; gives how many went.

    Asks the store only where there is such a file. Raises StoreUnavailable.
    """
    old = await asyncio.to_thread(files.names, before=clock.now() - YOUNG)
    if not old:
        return 0
    gone = old - await ask(lambda store: store.letter_files())
    await asyncio.to_thread(files.remove, gone)
    return len(gone)


async def keep_sweeping(files: LetterFiles, ask: Ask, clock: Clock) -> None:
    """Sweep now and then, until it is cancelled."""
    while True:
        try:
            await sweep(files, ask, clock)
        except (OSError, StoreUnavailable) as error:
            log.warning("files of dead letters are swept later: %s", error)
        except Exception:  # nobody waits for this task, so nobody would hear of its end
            log.exception("files of dead letters could not be swept; they are swept later")
        await clock.sleep(EVERY.total_seconds())


T = TypeVar("T")
Ended = Callable[[Sequence[tuple[int, Outcome]]], None]


class RunsThread:
    """The thread of runs, with what they share: resources of the application, worker processes, the writer.

    Entered on the control loop, on which `ended` is told of runs. What runs ask of the store is done there.
    """

    def __init__(
        self,
        *,
        store: Store,
        ended: Ended,
        clock: Clock,
        writer: Writer,
        redact: tuple[str, ...] = (),
        files: LetterFiles | None = None,
        cpu_workers: int | None = None,
        workers_per_run: int = 8,
        replica: str = "",
        watched: Watched | None = None,
    ) -> None:
        self._store, self._ended, self._clock, self._writer = store, ended, clock, writer
        self._replica, self._watched = replica, watched or Watched()
        self._cpu_workers, self._workers_per_run, self._redact = cpu_workers, workers_per_run, redact
        self._files = writer.files = files
        self.thread = LoopThread("piko-flow runs", patience=STOPPING)
        self._control: asyncio.AbstractEventLoop | None = None
        self._outcomes: Mailbox[tuple[int, Outcome]] | None = None
        writer.keep, writer.ledger = self._keep_letters, store.url
        self._inbox: Mailbox[RunOrder | tuple[int, Reason]] | None = None
        self._serving: Future[None] | None = None
        self._stop: asyncio.Event | None = None

    def start(self, orders: Sequence[RunOrder]) -> None:
        """Execute these; each is reported when it has ended."""
        assert self._inbox is not None
        self._inbox.post(*orders)

    def cancel(self, run: int, reason: Reason) -> None:
        """Stop the run now; it is reported when it has."""
        assert self._inbox is not None
        self._inbox.post((run, reason))

    def _details(self) -> RunDetails:
        def spools() -> Mapping[str, LiveSpool]:
            open_ones = self._writer.spools
            return {} if open_ones is None else open_ones.opened

        return RunDetails(
            ask=self.ask,
            clock=self._clock,
            replica=self._replica,
            figures=self._watched.figures,
            spans=self._watched.spans,
            redact=self._redact,
            spools=spools,
        )

    async def ask(self, question: Callable[[Store], Awaitable[T]]) -> T:
        """From the loop of runs: put a question to the store on the control loop."""

        async def asked() -> T:
            return await question(self._store)

        assert self._control is not None
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(asked(), self._control))

    @asynccontextmanager
    async def _swept(self, files: LetterFiles) -> AsyncIterator[None]:
        """Inside the block files of letters that are open no more are deleted now and then."""
        task = asyncio.create_task(keep_sweeping(files, self.ask, self._clock), name="files of dead letters")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def _keep_letters(self, letters: Sequence[DeadLetterRecord]) -> None:
        await self.ask(lambda store: store.keep_dead_letters(letters))

    async def emit(self, item: Emitted) -> None:
        """From any loop: hand an item to the writer, and return when it has been written. Raises what its sink raised."""

        async def emitted() -> None:
            emissions = Emissions(Redaction.of(self._redact))
            await self._writer.emit(item, emissions)
            await emissions.flush()

        await self.thread.call(emitted)

    async def __aenter__(self) -> RunsThread:
        self._control = asyncio.get_running_loop()
        self._outcomes = Mailbox(self._control, self._ended)
        await self.thread.__aenter__()
        ready: Future[None] = Future()
        self._serving = self.thread.submit(lambda: self._serve(ready))
        self._serving.add_done_callback(lambda done: _pass_on(done, ready))
        try:
            await asyncio.wrap_future(ready)
        except BaseException:
            await self.thread.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._serving is not None
        try:
            if self._stop is not None and await self.thread.answers(STOPPING):
                self.thread.loop.call_soon_threadsafe(self._stop.set)
                await asyncio.wrap_future(self._serving)
        finally:
            await self.thread.__aexit__(kind, error, trace)

    async def _serve(self, ready: Future[None]) -> None:
        """On the thread's loop: keep open what runs share until the end is asked for."""
        assert self._outcomes is not None
        outcomes = self._outcomes
        async with AsyncExitStack() as stack:
            tools = RunTools(
                ask=self.ask,
                clock=self._clock,
                ledger=self._store.url,
                resources=await stack.enter_async_context(ResourcePool()),
                pool=await stack.enter_async_context(WorkerPool(self._cpu_workers)),
                writer=await stack.enter_async_context(self._writer),
                workers_per_run=self._workers_per_run,
                redact=self._redact,
                files=self._files,
            )
            tools = replace(tools, details=await stack.enter_async_context(self._details()))
            if self._files is not None:
                await stack.enter_async_context(self._swept(self._files))
            executions = Executions(tools, lambda run, outcome: outcomes.post((run, outcome)))
            await stack.enter_async_context(executions)
            self._stop = asyncio.Event()
            self._inbox = Mailbox(asyncio.get_running_loop(), lambda posted: _deliver(executions, posted))
            ready.set_result(None)
            await self._stop.wait()


def _deliver(executions: Executions, posted: list[RunOrder | tuple[int, Reason]]) -> None:
    for one in posted:
        if isinstance(one, RunOrder):
            executions.start((one,))
        else:
            executions.cancel(*one)


def _pass_on(done: Future[None], ready: Future[None]) -> None:
    """What ended before it was ready tells why to whoever waits for it."""
    if not ready.done():
        error = done.exception() if not done.cancelled() else RuntimeError("the thread of runs ended")
        ready.set_exception(error or RuntimeError("the thread of runs ended"))
