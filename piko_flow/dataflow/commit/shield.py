"""Work that a cancellation must not leave half done, with a bound on how long it may take."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

from piko_flow.clock import monotonic
from piko_flow.errors import CallCancelled, CallExited

T = TypeVar("T")

CANCEL_GRACE_SECONDS: Final = (
    1.0  # seconds that work has to end after it was cancelled because its time was over
)


class Shield:
    """Carries out steps one after the other although the caller is cancelled meanwhile.

    The caller's cancellations are swallowed. From the first one on, or from `limit()` on, the steps have `seconds`
    left together. A step that takes longer is cancelled, and TimeoutError is raised.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds, self._ends = seconds, float("inf")
        self._limited: asyncio.Future[None] | None = None  # wakes who waits without a limit

    def limit(self) -> Shield:
        """Start the time limit now, also for a step that is being carried out; gives the shield itself."""
        self._ends = min(self._ends, monotonic() + self._seconds)
        if self._limited is not None and not self._limited.done():
            self._limited.set_result(None)
        return self

    async def carry_out(self, work: Coroutine[Any, Any, T], what: str = "it") -> T:
        """Await the work and give its result, or raise its error. Raises TimeoutError, about `what`, when the time is over,
        CallCancelled when the work has cancelled itself, and CallExited when it has called `sys.exit`."""
        task = asyncio.ensure_future(_contained(work))
        if not await self.wait(task):
            self._ends = monotonic() + CANCEL_GRACE_SECONDS
            task.cancel()
            if not await self.wait(task) or task.cancelled():
                raise TimeoutError(f"{what} did not end within {self._seconds:g} s")
        if task.cancelled():
            raise CallCancelled  # not by the caller, whose cancellations end here
        return task.result()

    async def wait(self, task: asyncio.Future[Any]) -> bool:
        """Wait for the task, at most until the time is over, and say whether it has ended."""
        while not task.done():
            left = self._ends - monotonic()
            if left <= 0:
                return False
            try:
                if left == float("inf"):
                    self._limited = asyncio.get_running_loop().create_future()
                    await asyncio.wait([task, self._limited], return_when=asyncio.FIRST_COMPLETED)
                else:
                    await asyncio.wait([task], timeout=left)
            except asyncio.CancelledError:
                self.limit()
        return True


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
