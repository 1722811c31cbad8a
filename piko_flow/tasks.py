"""Tasks: a group ends together and knows whose a cancellation is; what must not be left half done is carried out;
a call has a bound in time; busy tasks give way."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine
from types import TracebackType
from typing import Any, Final, TypeVar

from piko_flow.clock import monotonic
from piko_flow.errors import CallCancelled, CallExited, PikoFlowError, RunError, StageFailed

T = TypeVar("T")
ESCAPES: Final = (asyncio.CancelledError, SystemExit, KeyboardInterrupt)
"""What a user's function may raise that asyncio does not treat as the failure of a task."""
FAILURES: Final = (Exception, *ESCAPES)
"""What a call of a user's function may end in; `TaskGroup.judge` says what that is."""
COUNTDOWN_PIECES: Final = 8  # that a bound of time is counted in; a loop that stands still loses one of them
CANCEL_GRACE_SECONDS: Final = 1.0  # that work has to end after it was cancelled because its time was over
LOOP_HELD_SECONDS = 0.004  # seconds an operator may hold the loop
THREADS_TURN_EVERY = 0.02  # seconds that the loop may be busy before the other threads get a turn
TURN_SECONDS = 0.00005  # of sleep, long enough for a waiting thread to wake up


class Countdown:
    """Calls `over` when so many seconds have passed while the event loop was running; `stop` and `start` interrupt it.

    It bounds how long others may take to end. While the loop stands still (a suspended machine, a function that
    blocks) they cannot end either: so the time is counted in pieces, and standing still costs one piece at the most.
    """

    def __init__(self, seconds: float, over: Callable[[], None]) -> None:
        self._left, self._piece, self._over = seconds, seconds / COUNTDOWN_PIECES, over
        self.start()

    def start(self) -> None:
        """Count on, with what was left when it was stopped."""
        self._since = monotonic()
        self._timer = asyncio.get_running_loop().call_later(min(self._left, self._piece), self._piece_over)

    def stop(self) -> None:
        """Do not count the time from now on."""
        self._timer.cancel()
        self._left -= min(monotonic() - self._since, self._piece)

    def _piece_over(self) -> None:
        self.stop()
        if self._left > 0:
            self.start()
        else:
            self._over()


class TaskGroup:
    """Runs tasks and waits for all of them when the block is left; the first failure stops the others.

    `stopping` is True once the owner of the block was cancelled or a task has failed. It decides whose a
    cancellation is: while the group is not stopping nobody has cancelled its tasks, so a task that ends in a
    CancelledError has failed, with CallCancelled. (A task that cancelled itself would else look like one that was
    stopped, and its siblings would wait for it for ever.)

    Leaving the block raises the failure itself, not an exception group: the first RunError, else the first failure. Cancelling the owner cancels the tasks, waits for them, and raises CancelledError unless one has failed.
    With `teardown`, tasks that were stopped have so many seconds to end. Then `left` is called with the name of each
    that goes on, since it may not have closed what it has open. It is cancelled once more, and left alone a second later.
    `inside` is the group that the owner is a task of: when that one stops, this one is stopping at once, although its
    owner hears of it a turn later. When a task of this one fails, the others have the `teardown` of that one.
    """

    def __init__(
        self,
        *,
        teardown: float | None = None,
        left: Callable[[str], None] | None = None,
        inside: TaskGroup | None = None,
    ) -> None:
        self.stopping = False
        self._inside = inside
        self._inner: set[TaskGroup] = set()
        self._teardown, self._left = teardown, left
        self._tasks: set[asyncio.Task[Any]] = set()
        self._dismissed: set[asyncio.Task[Any]] = set()
        self._failures: list[BaseException] = []
        self._all_ended: asyncio.Future[None] | None = None
        self._timer: Countdown | None = None
        self._interrupting = self._leaving = False

    async def __aenter__(self) -> TaskGroup:
        owner = asyncio.current_task()
        assert owner is not None
        self._owner, self._cancelled_before = owner, owner.cancelling()
        if self._inside is not None:
            self._inside._inner.add(self)
            self.stopping = self._inside.stopping
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leaving = True
        # This group may have interrupted its own block; then a cancellation counts only if there was another one.
        interrupted = self._interrupting and self._owner.uncancel() <= self._cancelled_before
        cancelled = None if interrupted or not isinstance(error, asyncio.CancelledError) else error
        if error is not None:
            if not isinstance(error, asyncio.CancelledError):
                self._failures.append(error)
            self.stop()
        while self._tasks:
            self._all_ended = asyncio.get_running_loop().create_future()
            try:
                await self._all_ended
            except asyncio.CancelledError as caught:
                cancelled = caught
                self.stop()
        if self._timer is not None:
            self._timer.stop()
        if self._inside is not None:
            self._inside._inner.discard(self)
        try:
            if self._failures:
                raise next((one for one in self._failures if isinstance(one, RunError)), self._failures[0])
            if cancelled is not None:
                raise cancelled
        finally:
            self._failures, cancelled, error = [], None, None  # no circle through the traceback

    def create_task(self, work: Coroutine[Any, Any, Any], *, name: str) -> asyncio.Task[Any]:
        """Start a task of the group. In a group that is stopping it is cancelled before it begins."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        if self.stopping:
            task.cancel()
        return task

    def stop(self) -> None:
        """Cancel all tasks of the group. With `teardown` they are not cancelled again while they have time to end."""
        if self.stopping and self._teardown is not None:
            return
        if self._teardown is not None:
            self._timer = Countdown(self._teardown, self._stop_again)
        self.stopping = True
        for group in self._inner:
            group.stopping = True  # its owner is one of the tasks, and cancels its tasks when it hears of it
        for task in self._tasks:
            task.cancel()

    def dismiss(self, task: asyncio.Task[Any]) -> None:
        """Cancel one task of the group; that it ends so is no failure."""
        self._dismissed.add(task)
        task.cancel()

    def fail(self, error: BaseException) -> None:
        """Stop the group because of this error, as if a task had failed with it."""
        self._failures.append(error)
        if not self.stopping:
            self.stop()
            if self._inside is not None and self._timer is None:
                self._left, seconds = self._inside._left, self._inside._teardown
                if seconds is not None:
                    self._timer = Countdown(seconds, self._stop_again)
            if not self._leaving:  # the owner is in the block, perhaps waiting for what will never happen
                self._interrupting = True
                self._owner.cancel()

    def obey(self) -> None:
        """Raise CancelledError if the group is stopping: a user's function may have swallowed the cancellation."""
        if self.stopping:
            raise asyncio.CancelledError

    def judge(self, error: BaseException, *, shared: bool = False) -> Exception:
        """Give the failure of the call that ended in one of FAILURES: an exception as it is, else see `escape_failure`.

        `shared` says that its task carries out one call after another. Raises CallCancelled when that task was
        cancelled: by this call, or by one before that had returned already, so it is the failure of neither.
        """
        if isinstance(error, Exception):
            return error
        failure = escape_failure(error, stopping=self.stopping)
        task = asyncio.current_task()
        if isinstance(failure, CallCancelled) and task is not None and task.cancelling():
            while task.uncancel():
                continue
            if shared:
                raise failure
        return failure

    def _ended(self, task: asyncio.Task[Any]) -> None:
        known = task in self._tasks
        self._tasks.discard(task)
        failure: BaseException | None = None
        if not task.cancelled():
            failure = task.exception()
        elif not self.stopping and task not in self._dismissed:
            failure = CallCancelled()
        self._dismissed.discard(task)
        if failure is not None and known:
            self.fail(failure)
        self._wake()

    def _stop_again(self) -> None:
        for task in self._tasks:
            if self._left is not None:
                self._left(task.get_name())
            task.cancel()
        self._timer = Countdown(CANCEL_GRACE_SECONDS, self._give_up)

    def _give_up(self) -> None:
        self._tasks.clear()
        self._wake()

    def _wake(self) -> None:
        if not self._tasks and self._all_ended is not None and not self._all_ended.done():
            self._all_ended.set_result(None)


def first_cause(error: BaseException) -> BaseException:
    """The error itself; of an exception group its first error, a StageFailed before any other."""
    flat: list[BaseException] = []

    def flatten(error: BaseException) -> None:
        if isinstance(error, BaseExceptionGroup):
            for inner in error.exceptions:
                flatten(inner)
        else:
            flat.append(error)

    flatten(error)
    return next((one for one in flat if isinstance(one, StageFailed)), flat[0])


class HeldInterrupt(BaseException):
    """Carries a KeyboardInterrupt through the tasks of a run; the run raises `interrupt` when all of them have ended.

    Asyncio stops the loop at a KeyboardInterrupt in a task, with the other tasks unfinished.
    """

    def __init__(self, interrupt: KeyboardInterrupt) -> None:
        super().__init__(interrupt)
        self.interrupt = interrupt


def escape_failure(error: BaseException, *, stopping: bool) -> Exception:
    """Give the failure of the call that ended in one of ESCAPES; `stopping` says that its task was cancelled.

    Raises the CancelledError again when it was, and a KeyboardInterrupt as a HeldInterrupt, since it is no failure
    of the function. A SystemExit becomes a failure, since in a task it would tear the event loop down.
    """
    if isinstance(error, KeyboardInterrupt):
        raise HeldInterrupt(error) from error
    failure: PikoFlowError
    if isinstance(error, SystemExit):
        failure = CallExited(error.code)
    elif stopping:
        raise error
    else:
        failure = CallCancelled()
    failure.__cause__ = error
    return failure


async def within(seconds: float | None, work: Awaitable[T], what: str, *, ending: bool = False) -> T:
    """Await the work. Raises TimeoutError, saying `what` did not happen, when it takes longer than `seconds`.

    With `ending`, for work that closes something, the seconds are counted as a Countdown counts them.
    A TimeoutError that the work raises by itself passes as it is. Cancelling cancels the work.
    """
    if seconds is None:
        return await work
    bound = asyncio.timeout(None if ending else seconds)
    countdown: Countdown | None = None
    try:
        async with bound:
            if ending:
                countdown = Countdown(seconds, lambda: bound.reschedule(0))
            return await work
    except TimeoutError as error:
        if not bound.expired():
            raise
        raise TimeoutError(f"{what} within {seconds:g} s") from error
    finally:
        if countdown is not None:
            countdown.stop()


async def checkpoint(since: float) -> float:
    """Let others run if the loop was held for more than a few milliseconds; gives the time held from then on.

    A loop that is always busy keeps other threads from running: it gives the interpreter's lock up at every look at
    its sockets and has it back before any of them is awake, so none waits long enough to ask for it. Therefore the
    loop sleeps for a moment, rarely.
    """
    if monotonic() - since <= LOOP_HELD_SECONDS:
        return since
    await asyncio.sleep(0)
    _give_threads_a_turn()
    return monotonic()


_last_turn = 0.0


def _give_threads_a_turn() -> None:
    global _last_turn
    if monotonic() - _last_turn > THREADS_TURN_EVERY and threading.active_count() > 1:
        time.sleep(TURN_SECONDS)
        _last_turn = monotonic()


class Shield:
    """Carries out steps one after the other although the caller is cancelled meanwhile.

    The caller's cancellations are swallowed. From the first one on, or from `limit()` on, the steps have `seconds`
    left together, as a Countdown counts them. A step that takes longer is cancelled, and TimeoutError is raised;
    `left` is called with the name of one that goes on all the same.
    """

    def __init__(self, seconds: float, *, left: Callable[[str], None] | None = None) -> None:
        self._seconds, self._left = seconds, left
        self.is_over = False  # whether the time is
        self._countdown: Countdown | None = None
        self._waiting: asyncio.Future[None] | None = None  # wakes who waits when the time is over

    def limit(self) -> Shield:
        """Start the time limit now, also for a step that is being carried out; gives the shield itself."""
        if self._countdown is None and self._seconds != float("inf"):
            self._countdown = Countdown(self._seconds, self._time_is_over)
            if self._waiting is None:
                self._countdown.stop()  # it counts while there is a step
        return self

    async def carry_out(self, work: Coroutine[Any, Any, T], what: str = "it") -> T:
        """Await the work and give its result, or raise its error. Raises TimeoutError, about `what`, when the time is over,
        CallCancelled when the work has cancelled itself, and CallExited when it has called `sys.exit`."""
        task = asyncio.create_task(_contained(work), name=what)
        if not await self.wait(task):
            task.cancel()
            ended = await Shield(CANCEL_GRACE_SECONDS).limit().wait(task)
            if not ended and self._left is not None:
                self._left(what)
            if not ended or task.cancelled():
                raise TimeoutError(f"{what} did not end within {self._seconds:g} s")
        if task.cancelled():
            raise CallCancelled  # not by the caller, whose cancellations end here
        return task.result()

    async def wait(self, task: asyncio.Future[Any]) -> bool:
        """Wait for the task, at most until the time is over, and say whether it has ended."""
        self._waiting = asyncio.get_running_loop().create_future()
        if self._countdown is not None and not self.is_over:
            self._countdown.start()
        try:
            while not task.done() and not self.is_over:
                try:
                    await asyncio.wait([task, self._waiting], return_when=asyncio.FIRST_COMPLETED)
                except asyncio.CancelledError:
                    self.limit()
        finally:
            self._waiting = None
            if self._countdown is not None and not self.is_over:
                self._countdown.stop()
        return task.done()

    def _time_is_over(self) -> None:
        self.is_over = True
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)


async def _contained(work: Coroutine[Any, Any, T]) -> T:
    try:
        return await work
    except SystemExit as error:  # in a task it would tear the event loop down
        raise CallExited(error.code) from error


async def uninterrupted(work: Coroutine[Any, Any, T]) -> T:
    """Await the work to its end, however often the caller is cancelled meanwhile. For work that ends by itself.

    Raises CancelledError when the work was cancelled by somebody else, as a loop that is closed cancels all tasks.
    """
    task = asyncio.ensure_future(work)
    await Shield(float("inf")).wait(task)
    return task.result()
