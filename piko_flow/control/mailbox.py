"""Handing things from one thread's event loop to another's."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextvars import copy_context
from typing import Generic, TypeVar

T = TypeVar("T")


class Mailbox(Generic[T]):
    """`post` from any thread; `receive` is called on the loop with all that waits, in order.

    The loop is woken once for many posts. What is posted is bounded by whoever posts. It is received in the context in
    which the mailbox was made, not in that of a run that posts its end.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, receive: Callable[[list[T]], None]) -> None:
        self._loop, self._receive = loop, receive
        self._posted: deque[T] = deque()
        self._woken = False
        self._context = copy_context()

    def post(self, *items: T) -> None:
        """Hand over things that are received together. Raises RuntimeError when the loop is closed."""
        self._posted.extend(items)
        if not self._woken:
            self._woken = True
            self._loop.call_soon_threadsafe(self._deliver, context=self._context)

    def _deliver(self) -> None:
        self._woken = False  # before emptying: a post from now on wakes again
        items = []
        while self._posted:
            items.append(self._posted.popleft())
        if items:
            self._receive(items)
