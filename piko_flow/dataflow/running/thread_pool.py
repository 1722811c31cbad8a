"""Threads for blocking functions, owned by a run."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any

from piko_flow.dataflow.running.cancellation import within

GRACE = 0.5  # seconds that a thread gets to end its call when the run is over
LEFT = 64  # calls that may go on unwatched at once; beyond it new calls wait for them


class ThreadPool:
    """Runs blocking calls on up to `limit` threads, started when first needed; an async context manager.

    A call that nobody waits for any more (its timeout is over, its run was cancelled) cannot be stopped:
    another thread takes its place, and its own ends with it. Closing waits a short grace for calls in
    progress; a thread that goes on is named in `leftovers` and never keeps the interpreter from exiting.
    """

    def __init__(self) -> None:
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._idle = self._left = 0
        self._wanted: dict[tuple[str, int], int] = {}
        self.leftovers: list[str] = []

    async def __aenter__(self) -> ThreadPool:
        self._loop, self._all_ended = asyncio.get_running_loop(), asyncio.Event()
        return self

    async def __aexit__(self, *details: object) -> None:
        self._all_ended.clear()  # it may have happened before that none was left
        for _ in self._threads:
            self._calls.put(None)
        if self._threads:
            with suppress(TimeoutError):
                await within(GRACE, self._all_ended.wait(), "the threads did not end")
        self.leftovers += [thread.name for thread in self._threads]

    @property
    def limit(self) -> int:
        """How many threads the stages of the units in work may use together."""
        return sum(self._wanted.values())

    def widen(self, unit: str, stage: int, threads: int) -> None:
        """Allow a stage of a unit so many threads, until the unit is over; asking again changes nothing."""
        self._wanted[unit, stage] = threads

    def narrow(self, unit: str) -> None:
        """The unit is over: its stages need no threads. Those there are stay for the units that follow."""
        for key in [key for key in self._wanted if key[0] == unit]:
            del self._wanted[key]

    def call(self, function: Callable[..., Any], *arguments: Any) -> asyncio.Future[Any]:
        """Start the call on a thread, with a copy of the context; the future gives its result or error.

        Cancelling the future gives the call up: one that has not begun is not made.
        """
        call = _Call(function, arguments)
        call.future.add_done_callback(lambda future: self._given_up(call) if future.cancelled() else None)
        self._calls.put(call)
        with self._lock:
            self._idle -= 1
            if self._idle < 0:
                self._start_thread()
        return call.future

    def _start_thread(self) -> None:
        if len(self._threads) < self.limit + min(self._left, LEFT):
            self._idle += 1
            # Not joined at interpreter exit: a blocking call that cannot be stopped must not hold the process.
            thread = threading.Thread(target=self._work, name="piko-flow thread", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _given_up(self, call: _Call) -> None:
        with self._lock:
            if call.began and not call.left:
                call.left = True
                self._left += 1
                if self._idle < 0:
                    self._start_thread()

    def _work(self) -> None:
        self._serve()
        with suppress(RuntimeError):  # the loop was closed while a call went on
            self._loop.call_soon_threadsafe(self._thread_ended, threading.current_thread())

    def _thread_ended(self, thread: threading.Thread) -> None:
        thread.join()  # calling here was the last it did
        with self._lock:
            self._threads.remove(thread)
        if not self._threads:
            self._all_ended.set()

    def _serve(self) -> None:
        while (call := self._calls.get()) is not None:
            with self._lock:
                call.began = not call.future.cancelled()
            if call.began:
                threading.current_thread().name = f"piko-flow {getattr(call.function, '__name__', 'call')}"
                call.make()
            with self._lock:
                if call.left:
                    self._left -= 1
                    return  # another thread has taken this one's place
                self._idle += 1


class _Call:
    """One call on its way: `began` on a thread, `left` by whoever waited for it."""

    def __init__(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        self.function, self.arguments = function, arguments
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[Any] = self.loop.create_future()
        self.context = contextvars.copy_context()
        self.began = self.left = False

    def make(self) -> None:
        """Call the function here and give its outcome to the loop that waits."""
        try:
            result, error = self.context.run(self.function, *self.arguments), None
        except BaseException as raised:
            result, error = None, raised
        try:
            self.loop.call_soon_threadsafe(self._finish, result, error)
        except RuntimeError:  # the loop was closed while the call went on: nobody waits for it any more
            return

    def _finish(self, result: Any, error: BaseException | None) -> None:
        if self.future.done():
            return
        if error is None:
            self.future.set_result(result)
        elif isinstance(error, StopIteration):  # which no future takes
            self.future.set_exception(RuntimeError("the function raised StopIteration"))
        else:
            self.future.set_exception(error)
