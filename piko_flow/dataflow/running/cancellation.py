"""What escapes from users' functions, and a bound on their time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Final, TypeVar

from piko_flow.errors import CallCancelled, CallExited, PikoFlowError

T = TypeVar("T")

ESCAPES: Final = (asyncio.CancelledError, SystemExit, KeyboardInterrupt)
"""What a user's function may raise that asyncio does not treat as the failure of a task."""


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


async def within(seconds: float | None, work: Awaitable[T], what: str) -> T:
    """Await the work. Raises TimeoutError, saying `what` did not happen, when it takes longer than `seconds`.

    A TimeoutError that the work raises by itself passes as it is. Cancelling cancels the work.
    """
    if seconds is None:
        return await work
    bound = asyncio.timeout(seconds)
    try:
        async with bound:
            return await work
    except TimeoutError as error:
        if not bound.expired():
            raise
        raise TimeoutError(f"{what} within {seconds:g} s") from error
