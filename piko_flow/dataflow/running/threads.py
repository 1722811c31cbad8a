"""Threads for blocking functions, owned by a run."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

GRACE = 0.5  # seconds that a thread gets to end its call when the run is over

_Call = tuple[
    asyncio.AbstractEventLoop, "asyncio.Future[Any]", contextvars.Context, Callable[..., Any], tuple[Any, ...]
]


class ThreadCrew:
    """Runs blocking calls on up to `limit` threads, started when first needed; an async context manager.

    Closing waits a short grace for calls in progress. A call that goes on cannot be stopped: its thread is
    named in `leftovers`, ends with its call, and never keeps the interpreter from exiting.
    """

    def __init__(self) -> None:
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._idle = 0
        self._lock = threading.Lock()
        self.limit = 0
        self.leftovers: list[str] = []

    async def __aenter__(self) -> ThreadCrew:
        return self

    async def __aexit__(self, *details: object) -> None:
        for _ in self._threads:
            self._calls.put(None)
        deadline = asyncio.get_running_loop().time() + GRACE
        while any(thread.is_alive() for thread in self._threads):
            if asyncio.get_running_loop().time() > deadline:
                break
            await asyncio.sleep(0.002)
        self.leftovers += [thread.name for thread in self._threads if thread.is_alive()]

    def widen(self, threads: int) -> None:
        """Allow so many threads more."""
        self.limit += threads

    def call(self, function: Callable[..., Any], *arguments: Any) -> asyncio.Future[Any]:
        """Start the call on a thread, with a copy of the context; the future gives its result or error."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        with self._lock:
            idle = self._idle
            self._idle -= 1 if idle > 0 else 0
        self._calls.put((loop, future, contextvars.copy_context(), function, arguments))
        if idle <= 0 and len(self._threads) < self.limit:
            # Not joined at interpreter exit: a blocking call that cannot be stopped must not hold the process.
            thread = threading.Thread(
                target=self._work, name=f"piko-flow-{len(self._threads) + 1}", daemon=True
            )
            self._threads.append(thread)
            thread.start()
        return future

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            loop, future, context, function, arguments = call
            threading.current_thread().name = f"piko-flow {getattr(function, '__name__', 'call')}"
            try:
                result, error = context.run(function, *arguments), None
            except BaseException as raised:
                result, error = None, raised
            with self._lock:
                self._idle += 1
            try:
                loop.call_soon_threadsafe(_finish, future, result, error)
            except RuntimeError:  # the loop was closed while the call went on: nobody waits for it any more
                return


def _finish(future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(result)
    elif isinstance(error, StopIteration):
        future.set_exception(RuntimeError("the function raised StopIteration"))
    else:
        future.set_exception(error)
