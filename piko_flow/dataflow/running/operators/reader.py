"""Reading a source: one reader for all kinds of sources, which a stop ends wherever it is, and how much is done at once."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Generator, Iterable, Iterator
from itertools import islice
from typing import Any, Final

from piko_flow.clock import monotonic
from piko_flow.dataflow.running.operators.awaitables import cancelled_at_yield, no_coroutine
from piko_flow.dataflow.running.operators.opening import on_thread, open_source
from piko_flow.dataflow.running.unit_state import OperatorState
from piko_flow.dataflow.stages.source import Source, Table
from piko_flow.errors import NO_ITEM, StageFailed, describe_error
from piko_flow.retry import attempts
from piko_flow.tasks import CANCEL_GRACE_SECONDS, Countdown, within

log = logging.getLogger("piko_flow.sources")

HandOn = Callable[[Any], Awaitable[None]]
SAID_AFTER: Final = 1.0  # seconds that a stop waits for a call on a thread before the log says so
LONGEST_CHUNK: Final = 1024  # items of a chunk
# Seconds: a chunk that took less may be larger next time, one that took more is smaller.
QUICK_CHUNK, SLOW_CHUNK = 0.002, 0.006
LOOK: Final = 0.001  # seconds between two looks at the clock, as far as items take as long as those before
# Items between two looks: where they suddenly take long, the loop is held for so many of them once.
LONGEST_STEP: Final = 64
READY: tuple[Iterable[object], ...] = ([], (), {}, set(), range(1))
PROMPT = tuple(type(iter(items)) for items in READY)  # iterators that never give slowly


class Stopped(Exception):
    """A stop has ended the wait between two attempts."""


class Reader:
    """Reads one source for one unit, and hands on what it gives in lists, in order.

    A list holds at most `chunk_size.limit` items; it is shorter when items come slowly, and an asynchronous iterable is
    handed on item by item. With `tables` those of a TableReader are tables. Reading again after an error is tried
    while nothing was given and nothing was rejected: either would be there twice.

    A drain, `max_items` and `max_age` end a wait for the next item and a wait between attempts at once; what was read
    is still handed on. A call on a thread cannot be interrupted: they wait for its next item, and the log says so.
    A drain waits at most the run's `teardown`, since it commits nothing. Whatever was opened is closed, also when
    reading is cancelled, within the teardown; what has not closed then is named in the leftovers.
    """

    def __init__(
        self,
        state: OperatorState,
        source: Source[Any],
        chunk_size: ChunkSize,
        hand_on: HandOn,
        *,
        tables: bool = False,
    ) -> None:
        self._state, self._source, self._chunk_size, self._tables = state, source, chunk_size, tables
        self._hand_on_next, self._handing_on = hand_on, False
        self._teardown = state.unit.plan.options.teardown
        self._left = source.max_items
        self._stopped = False
        self._waiting = self._interrupted = (
            False  # in a wait that a stop may interrupt; a stop has interrupted it
        )
        self._on_thread: asyncio.Future[Any] | None = None  # a call that cannot be interrupted
        self._timers: list[Callable[[], None]] = []  # each call stops one

    async def run(self) -> None:
        """Read until the source ends, or a stop. Raises StageFailed of the source for what goes wrong."""
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        intake, unit = self._state.context.intake, self._state.unit
        forget = intake.on_close(self._drain)
        if self._source.max_age is not None:
            self._later(self._source.max_age, self._end_slice)
        try:
            if not intake.closed:
                await attempts(
                    self._read,
                    self._source.retry,
                    sleep=self._sleep,
                    again=self._may_read_again,
                    retried=self._count_retry,
                )
        except Stopped:
            pass  # between two attempts nothing is open
        except Exception as error:
            if self._handing_on or unit.error_policy.ours(error):
                raise
            raise self.failure(error) from error
        finally:
            forget()
            for stop in self._timers:
                stop()
        if self._source.reads == "slices":
            try:
                unit.position = no_coroutine(self._source.items.position())
            except Exception as error:
                raise self.failure(error) from error
        if not intake.closed:
            unit.source_ended()

    def failure(self, error: BaseException) -> StageFailed:
        """The run's error for what went wrong while reading."""
        return self._state.unit.error_policy.failure(self._state.boxes[0], NO_ITEM, error)

    # Reading

    async def _read(self) -> None:
        opened = await self._interruptible(open_source(self._state, self._source, tables=self._tables))
        if opened is None:
            return
        if hasattr(opened, "__aiter__"):
            await self._read_waiting(opened.__aiter__())
        elif self._source.on == "thread":
            await self._read_on_thread(opened)
        else:
            await self._read_inline(opened if self._source.reads == "chunks" else iter(opened))

    async def _read_waiting(self, iterator: Any) -> None:
        """Read what is waited for: items one by one, or the lists of a reader."""
        lists = self._source.reads == "chunks"
        try:
            while not self._stopped:
                began = monotonic()
                self._waiting = True
                try:
                    item = await anext(iterator)
                except StopAsyncIteration:
                    return
                except asyncio.CancelledError:
                    if self._interrupted and not self._state.unit.group.stopping:
                        return
                    raise
                finally:
                    self._end_wait()
                self._state.unit.group.obey()  # the source may have swallowed the cancellation
                self._state.times.busy += monotonic() - began
                try:
                    await self._hand_on(item if lists else [item])
                except asyncio.CancelledError as error:
                    self._state.unit.group.obey()
                    await cancelled_at_yield(iterator, error)
                    raise  # what was being handed on is lost
        finally:
            if hasattr(iterator, "aclose"):
                await self._closed(iterator.aclose())

    async def _read_inline(self, iterator: Iterator[Any]) -> None:
        lists = self._source.reads == "chunks"
        try:
            while not self._stopped:
                began = monotonic()
                chunk = next(iterator, None) if lists else some(iterator, self._limit, self._chunk_size.step)
                if not chunk and (chunk is None or not lists):
                    return
                await self._read_in(chunk, monotonic() - began)
        finally:
            if isinstance(iterator, Generator):
                iterator.close()

    async def _read_on_thread(self, opened: Any) -> None:
        lists = self._source.reads == "chunks"
        call = on_thread(self._state)
        items = _Threaded(opened, lists=lists)
        try:
            while not self._stopped:
                began = monotonic()
                reading = self._on_thread = call(items.read, self._limit, self._chunk_size.step)
                try:
                    chunk = await reading
                except asyncio.CancelledError:
                    if self._interrupted and not self._state.unit.group.stopping:
                        return
                    raise
                finally:
                    self._on_thread = None
                if not chunk and (chunk is None or not lists):
                    return
                await self._read_in(chunk, monotonic() - began)
        finally:
            await self._closed(call(items.close))

    @property
    def _limit(self) -> int:
        return self._chunk_size.limit if self._left is None else min(self._chunk_size.limit, self._left)

    async def _read_in(self, chunk: Any, seconds: float) -> None:
        self._state.times.busy += seconds
        self._chunk_size.read(len(chunk) or 1, seconds)
        await self._hand_on(chunk)

    async def _hand_on(self, chunk: list[Any] | Table) -> None:
        tally, count = self._state.tallies[0], len(chunk)
        tally.received += count
        tally.emitted += count
        self._handing_on = True
        await self._hand_on_next(chunk)
        self._handing_on = False
        if self._left is not None:
            self._left -= count
            if self._left <= 0:
                self._end_slice()

    # Stopping

    def _end_slice(self) -> None:
        self._state.unit.more = True
        self._stop()

    def _drain(self) -> None:
        self._stop()
        if self._on_thread is not None:
            self._count_down(self._teardown, self._leave_thread)

    def _stop(self) -> None:
        if self._stopped:
            return
        self._stopped = True
        if self._waiting:
            self._interrupted = True
            self._task.cancel()
            self._count_down(self._teardown, self._cut_off)
        elif self._on_thread is not None:
            self._later(SAID_AFTER, self._say_that_it_waits)

    def _later(self, seconds: float, call: Callable[[], None]) -> None:
        self._timers.append(asyncio.get_running_loop().call_later(seconds, call).cancel)

    def _count_down(self, seconds: float, over: Callable[[], None]) -> None:
        self._timers.append(Countdown(seconds, over).stop)

    def _say_that_it_waits(self) -> None:
        if self._on_thread is not None:
            log.warning(
                "source %r (%s) is inside a call on a thread, which cannot be interrupted: the stop waits for its next item",
                self._state.name,
                self._source.origin,
            )

    def _leave_thread(self) -> None:
        """End the wait for a call on a thread; a drained run commits nothing, so its item is not missed."""
        if self._on_thread is not None:
            self._interrupted = True
            self._on_thread.cancel()

    def _cut_off(self) -> None:
        """The source was interrupted and has not ended: cancel it once more, then fail."""
        if self._waiting:
            self._note(TimeoutError(f"it did not end within {self._teardown:g} s"))
            self._task.cancel()
            self._count_down(CANCEL_GRACE_SECONDS, self._give_up)

    def _give_up(self) -> None:
        if self._waiting:
            late = TimeoutError(f"the source did not end within {self._teardown:g} s after it was stopped")
            self._state.unit.group.fail(self.failure(late))

    def _end_wait(self) -> None:
        self._waiting = False
        if self._interrupted and not self._state.unit.group.stopping:
            while self._task.uncancel():  # these were the stop's
                continue

    async def _interruptible(self, work: Awaitable[Any]) -> Any:
        """Await the work. None when a stop has interrupted it."""
        self._waiting = True
        try:
            return await work
        except asyncio.CancelledError:
            if self._interrupted and not self._state.unit.group.stopping:
                return None
            raise
        finally:
            self._end_wait()

    async def _sleep(self, seconds: float) -> None:
        await self._interruptible(asyncio.sleep(seconds))
        if self._stopped:
            raise Stopped

    def _may_read_again(self, error: Exception) -> bool:
        given = self._handing_on or self._state.tallies[0].received
        return not (self._stopped or given or self._state.unit.error_policy.ours(error))

    def _count_retry(self, error: Exception) -> None:
        self._state.tallies[0].retried += 1

    async def _closed(self, closing: Awaitable[Any]) -> None:
        """Wait for the end of what the source has open, at most the teardown."""
        try:
            await within(self._teardown, closing, "it did not close", ending=True)
        except TimeoutError as error:
            self._note(error)
        except BaseExceptionGroup as group:
            if group.split(GeneratorExit)[1] is not None:
                raise  # else a task group around its `yield` has only told that the generator was closed

    def _note(self, error: Exception) -> None:
        self._state.context.leftovers.append(f"source {self._state.name!r} ({describe_error(error)})")


class _Threaded:
    """An iterator that is read on threads, one call at a time, and closed by whoever is inside last."""

    def __init__(self, opened: Any, *, lists: bool) -> None:
        self._opened, self._lists = opened, lists
        self._iterator: Iterator[Any] | None = None
        self._lock = threading.Lock()
        self._inside = self._closed = False

    def read(self, limit: int, step: int) -> Any:
        """The next list; None at the end, and when it was closed meanwhile."""
        with self._lock:
            if self._closed:
                return None
            self._inside = True
        try:
            if self._iterator is None:
                self._iterator = iter(self._opened)
            return next(self._iterator, None) if self._lists else some(self._iterator, limit, step)
        finally:
            with self._lock:
                self._inside = False
            if self._closed:
                self._close()

    def close(self) -> None:
        """Close the iterator now, or when the call that is inside returns."""
        with self._lock:
            self._closed = True
            if self._inside:
                return
        self._close()

    def _close(self) -> None:
        if isinstance(self._iterator, Generator):
            self._iterator.close()


class ChunkSize:
    """`limit` is how many items are read or received at once, `step` and `piece` how many are read and worked on
    between two looks at the clock."""

    def __init__(self, longest: int) -> None:
        self.longest = min(LONGEST_CHUNK, longest)
        self.limit = self.step = self.piece = 1
        self.reading = 0.0  # seconds that reading the last chunk took

    def read(self, items: int, seconds: float) -> None:
        """So many items were read in so many seconds."""
        self.reading = seconds
        self.step = between_looks(items, seconds)

    def worked(self, items: int, seconds: float) -> None:
        """So many items were worked on in so many seconds."""
        if seconds > SLOW_CHUNK:  # noticed late: the items after the last look took long, not those before
            items = min(items, self.piece)
        self.piece = between_looks(items, seconds)

    def adapt(self, items: int, seconds: float) -> None:
        """Size the next chunk by how long the last one took, reading included."""
        if seconds < QUICK_CHUNK:
            self.limit = min(self.limit * 2, self.longest)
        elif seconds > SLOW_CHUNK:
            self.limit = max(min(self.limit // 2, int(items * QUICK_CHUNK / seconds)), 1)


def between_looks(items: int, seconds: float, most: int = LONGEST_STEP) -> int:
    """How many items fit between two looks at the clock if they take as long as these did."""
    if seconds * most <= LOOK * items:
        return most
    return max(int(LOOK * items / seconds), 1)


def some(iterator: Iterator[Any], limit: int, step: int) -> list[Any]:
    """The next items, at most `limit`; fewer at the end, and when they come slowly. None only at the end."""
    if isinstance(iterator, PROMPT):
        return list(islice(iterator, limit))
    chunk: list[Any] = []
    ends = monotonic() + QUICK_CHUNK
    while len(chunk) < limit:
        wanted = min(step, limit - len(chunk))
        before = len(chunk)
        chunk.extend(islice(iterator, wanted))
        if len(chunk) - before < wanted or monotonic() >= ends:
            break
    return chunk
