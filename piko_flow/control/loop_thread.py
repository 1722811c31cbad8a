"""A thread with an event loop of its own."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from types import TracebackType
from typing import TypeVar

T = TypeVar("T")
log = logging.getLogger("piko_flow.control")


class LoopThread:
    """Enter it to start the thread, leave it to end it: what still runs on its loop is cancelled and awaited.

    With `patience` it is awaited for so many seconds; what has not ended then goes on until the process ends.

    It keeps the time-critical loops of the control half away from user code, and user code away from them. A task that
    raises SystemExit or KeyboardInterrupt ends; the log tells, and the loop goes on.
    """

    def __init__(self, name: str, *, patience: float | None = None) -> None:
        self._name, self._patience = name, patience
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The thread's loop. Raises RuntimeError while the thread is not running."""
        if self._loop is None:
            raise RuntimeError(f"the thread {self._name!r} is not running: use it inside `async with`")
        return self._loop

    @property
    def ident(self) -> int | None:
        """The thread's number, by which its frames can be found."""
        return self._thread.ident if self._thread is not None else None

    async def call(self, function: Callable[[], Awaitable[T]]) -> T:
        """Await the function's result on the thread's loop. Cancelling cancels it there."""
        return await asyncio.wrap_future(self.submit(function))

    def submit(self, function: Callable[[], Awaitable[T]]) -> Future[T]:
        """Start the function on the thread's loop; from any thread. Raises RuntimeError while the thread is not running."""
        loop = self.loop  # asked first: where there is none, no coroutine is left that nobody awaits

        async def called() -> T:
            return await function()

        return asyncio.run_coroutine_threadsafe(called(), loop)

    async def __aenter__(self) -> LoopThread:
        started: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, args=(started,), name=self._name, daemon=True)
        self._thread.start()
        await asyncio.wrap_future(started)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._thread is not None
        assert self._stop is not None
        self.loop.call_soon_threadsafe(self._stop.set)
        thread, self._thread, self._loop = self._thread, None, None
        await asyncio.to_thread(thread.join, self._patience)
        if thread.is_alive():
            log.error("the thread %r has not ended: user code on it cannot be stopped", self._name)

    async def answers(self, seconds: float) -> bool:
        """Whether its loop comes round within so many seconds."""
        asked = asyncio.wrap_future(self.submit(lambda: asyncio.sleep(0)))
        done, _ = await asyncio.wait([asked], timeout=seconds)
        return bool(done)

    def _run(self, started: Future[None]) -> None:
        async def main() -> None:
            self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
            started.set_result(None)
            await self._stop.wait()

        with asyncio.Runner() as runner:  # cancels and awaits what is left on the loop when it ends
            loop = runner.get_loop()
            task = loop.create_task(main(), name=self._name)
            while not task.done():
                try:
                    loop.run_until_complete(task)
                except (KeyboardInterrupt, SystemExit) as error:
                    # No signal comes to a thread: a task on this loop raised it, and asyncio stops a loop at these two.
                    log.error(
                        "a task on the thread %r raised %r; the others go on",
                        self._name,
                        error,
                        exc_info=error,
                    )
