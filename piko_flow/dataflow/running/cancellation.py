"""Cancellation and exits: whose they are, and what must not be interrupted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from piko_flow.errors import CallCancelled, CallExited, PikoFlowError

T = TypeVar("T")


ESCAPES = (asyncio.CancelledError, SystemExit, KeyboardInterrupt)
"""What a user's function may raise that asyncio would not take for the failure of a task."""


class HeldInterrupt(BaseException):
    """Carries a KeyboardInterrupt through the tasks of a run; when all of them have ended, the run raises `interrupt`.

    Asyncio stops the loop at a KeyboardInterrupt in a task, with the other tasks unfinished.
    """

    def __init__(self, interrupt: KeyboardInterrupt) -> None:
        super().__init__(interrupt)
        self.interrupt = interrupt


def escaped(error: BaseException) -> PikoFlowError:
    """The failure that such an error is; a CancelledError is raised again when somebody did cancel the current task.

    A task that ends in a CancelledError of its own is taken by its group for one that was told to stop: its
    siblings would wait for it for ever. One that ends in SystemExit tears the event loop down. A KeyboardInterrupt
    is nobody's failure: it is raised as a HeldInterrupt.
    """
    if isinstance(error, KeyboardInterrupt):
        raise HeldInterrupt(error) from error
    if isinstance(error, SystemExit):
        exited = CallExited(error.code)
        exited.__cause__ = error
        return exited
    task = asyncio.current_task()
    if task is None or task.cancelling():
        raise error
    failure = CallCancelled()
    failure.__cause__ = error
    return failure


class Cancellation:
    """Tells whether the task that made it was cancelled since, for the tasks which that one has started.

    A task that calls users' functions cannot tell by its own count: a function may swallow a cancellation, and
    on Python 3.11 a task group that failed inside a function, and was caught there, leaves the count raised.
    `count` is that of the task.
    """

    def __init__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.count: Callable[[], int] = task.cancelling
        self._before = task.cancelling()

    def obey(self) -> None:
        """Raise CancelledError if it was cancelled, and has handed that on to the current task."""
        task = asyncio.current_task()
        if self.count() > self._before and task is not None and task.cancelling():
            raise asyncio.CancelledError


def cancellations() -> Callable[[], bool]:
    """A function that tells whether the current task was cancelled from now on."""
    task = asyncio.current_task()
    assert task is not None
    before = task.cancelling()
    return lambda: task.cancelling() > before


async def uninterrupted(work: Coroutine[Any, Any, T]) -> T:
    """Await to the end, however often the caller is cancelled meanwhile: what must be whole is not left half done."""
    task = asyncio.ensure_future(work)
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            continue
    return task.result()
