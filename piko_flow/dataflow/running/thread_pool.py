"""Threads for blocking functions, owned by a run."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, Final

from piko_flow.errors import ThreadsStuck
from piko_flow.tasks import Shield

log = logging.getLogger("piko_flow.threads")

THREAD_GRACE_SECONDS: Final = 0.5  # seconds that a thread gets to end its call when the run is over
STUCK: Final = 64  # calls of one stage that may go on unwatched at once


class ThreadPool:
    """Runs blocking calls on threads, started when first needed; an async context manager.

    There are as many threads as calls in progress, so at most the sum of the stages' concurrency, and besides one for
    each call that is stuck. Closing waits a short grace for calls in progress. A call that goes on is named in
    `leftovers` by its stage; it never keeps the interpreter from exiting.

    Its state changes on the event loop alone: threads only make calls and say there that they have ended.
    """

    def __init__(self) -> None:
        self.leftovers: list[str] = []
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._threads: set[threading.Thread] = set()
        self._idle = 0
        self._stages: dict[int, StageThreads] = {}

    async def __aenter__(self) -> ThreadPool:
        self._loop, self._all_ended = asyncio.get_running_loop(), asyncio.Event()
        return self

    async def __aexit__(self, *details: object) -> None:
        self._all_ended.clear()  # it may have happened before that none was left
        for _ in self._threads:
            self._calls.put(None)
        if self._threads:
            ended = asyncio.ensure_future(self._all_ended.wait())
            await Shield(THREAD_GRACE_SECONDS).limit().wait(ended)  # a second cancellation hides no thread
            ended.cancel()
        for stage in self._stages.values():
            if stage.in_progress:
                stage.warn()
                self.leftovers.append(stage.leftover)

    def stage(self, number: int, name: str) -> StageThreads:
        """Give the threads of the stage with this number, which all units of the run share."""
        if number not in self._stages:
            self._stages[number] = StageThreads(self, name)
        return self._stages[number]

    def begin(self, call: _Call) -> None:
        """Make the call on an idle thread, or on a new one."""
        if self._idle:
            self._idle -= 1
        else:
            # Not joined at interpreter exit: a blocking call that cannot be stopped must not hold the process.
            thread = threading.Thread(target=self._work, name="piko-flow thread", daemon=True)
            self._threads.add(thread)
            thread.start()
        self._calls.put(call)

    def free(self, *, surplus: bool) -> None:
        """Take back the thread of a call that has ended; a surplus one ends."""
        if surplus:
            self._calls.put(None)
        else:
            self._idle += 1

    def _work(self) -> None:
        """Make calls until there are no more. Runs on each thread."""
        thread = threading.current_thread()
        while (call := self._calls.get()) is not None:
            thread.name = f"piko-flow {getattr(call.function, '__name__', 'call')}"
            result, error = call.make()
            self._say(call.stage.ended, call, result, error)
            del call, result, error  # an idle thread keeps nothing alive
        self._say(self._thread_ended, thread)

    def _say(self, what: Callable[..., None], *arguments: object) -> None:
        with suppress(RuntimeError):  # the loop was closed while a call went on
            self._loop.call_soon_threadsafe(what, *arguments)

    def _thread_ended(self, thread: threading.Thread) -> None:
        thread.join()  # saying so was the last it did
        self._threads.discard(thread)
        if not self._threads:
            self._all_ended.set()


class StageThreads:
    """The calls of one stage on the threads of a run.

    A call that nobody waits for any more (its timeout is over, its task was cancelled) cannot be stopped: it is stuck,
    and keeps its thread until it returns. While STUCK calls of the stage are, no further one begins: it waits for one
    of them to return, as long as its timeout says, then fails with ThreadsStuck. Calls that have begun by then may get
    stuck as well, so at most STUCK are and as many as the stage makes at once. Other stages are not concerned.
    """

    def __init__(self, pool: ThreadPool, name: str) -> None:
        self.name = name
        self.in_progress = self._stuck = 0
        self._pool = pool
        self._waiting: deque[_Call] = deque()
        self._warned = False

    @property
    def leftover(self) -> str:
        """Say how many threads the stage leaves behind."""
        if self.in_progress == 1:
            return f"a thread of stage {self.name!r}, in a call that has not returned"
        return f"{self.in_progress} threads of stage {self.name!r}, in calls that have not returned"

    def call(
        self, function: Callable[..., Any], *arguments: Any, timeout: float | None = None
    ) -> asyncio.Future[Any]:
        """Start the call on a thread, with a copy of the context; the future gives its result or error.

        Its error is a TimeoutError when the call takes longer than `timeout` seconds, and ThreadsStuck when it could not
        begin. Cancelling the future gives the call up: one that has not begun is not made.
        """
        call = _Call(self, function, arguments)
        future = call.future
        if self._stuck < STUCK:
            self._begin(call)
        elif timeout is None:
            future.set_exception(ThreadsStuck(self.name, self._stuck))
        else:
            self._waiting.append(call)
        if timeout is not None:
            timer = future.get_loop().call_later(timeout, self._late, call, timeout)
            future.add_done_callback(lambda _: timer.cancel())
        future.add_done_callback(lambda _: self._given_up(call) if future.cancelled() else None)
        return future

    def ended(self, call: _Call, result: Any, error: BaseException | None) -> None:
        """Give the outcome to whoever waits for the call, and its thread back to the pool."""
        call.began = False
        self.in_progress -= 1
        self._pool.free(surplus=call.stuck)
        if call.stuck:
            self._stuck -= 1
            if self._waiting:
                self._begin(self._waiting.popleft())
        elif not call.future.done():
            call.finish(result, error)

    def warn(self) -> None:
        """Log once that the stage leaves calls on their threads."""
        if not self._warned:
            self._warned = True
            log.warning(
                "stage %r: a call on a thread was given up and has not returned; it keeps its thread until it does. "
                "Bound the work inside the function, for example by a timeout of its client",
                self.name,
            )

    def _begin(self, call: _Call) -> None:
        call.began = True
        self.in_progress += 1
        self._pool.begin(call)

    def _late(self, call: _Call, timeout: float) -> None:
        if call.future.done():
            return
        if call.began:
            self.warn()
            self._given_up(call)
            call.future.set_exception(TimeoutError(f"no result within {timeout:g} s"))
        else:
            self._waiting.remove(call)
            call.future.set_exception(ThreadsStuck(self.name, self._stuck))

    def _given_up(self, call: _Call) -> None:
        if call.began:
            call.stuck = True
            self._stuck += 1
        elif call in self._waiting:
            self._waiting.remove(call)


class _Call:
    """One call: `began` while it has a thread, `stuck` when nobody waits for it any more."""

    def __init__(self, stage: StageThreads, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        self.stage, self.function, self.arguments = stage, function, arguments
        self.future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.context = contextvars.copy_context()
        self.began = self.stuck = False

    def make(self) -> tuple[Any, BaseException | None]:
        """Call the function on this thread; gives its result and its error."""
        if self.future.done():  # given up before the thread was there
            return None, None
        try:
            return self.context.run(self.function, *self.arguments), None
        except BaseException as error:
            return None, error

    def finish(self, result: Any, error: BaseException | None) -> None:
        """Give the outcome to whoever waits for it."""
        if error is None:
            self.future.set_result(result)
        elif isinstance(error, StopIteration):  # which no future takes
            self.future.set_exception(RuntimeError("the function raised StopIteration"))
        else:
            self.future.set_exception(error)
