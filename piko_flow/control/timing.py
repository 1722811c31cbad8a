"""The database's time, as a replica knows it, and how to wait for something or for an instant."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TypeVar

from piko_flow.clock import Clock

T = TypeVar("T")


class DatabaseTime:
    """The database's clock, learned from its answers; what is due is judged by it, not by the host's clock.

    Between answers it goes on with the monotonic clock, so setting the host's clock does not move it.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._known: datetime | None = None
        self._at = clock.monotonic()

    def asking(self) -> float:
        """The monotonic time at which a question is put, for `observe`."""
        return self._clock.monotonic()

    def observe(self, told: datetime, *, asked: float) -> None:
        """The database told its time in answer to a question put at monotonic time `asked`.

        It read its clock somewhere between question and answer. What is known stays within these bounds: at
        least what was told, now that the answer is here, at most as much later as the whole exchange took. So it
        is never ahead of the database, nothing is done before it is due, and the quickest exchange counts.
        """
        at = self._clock.monotonic()
        most = told + timedelta(seconds=at - asked)
        self._known = told if self._known is None else min(max(self.now(), told), most)
        self._at = at

    def now(self) -> datetime:
        """The database's time at this moment."""
        if self._known is None:
            return self._clock.now()
        return self._known + timedelta(seconds=self._clock.monotonic() - self._at)

    @property
    def offset(self) -> timedelta:
        """By how much the database's clock is ahead of the host's."""
        return self.now() - self._clock.now()


async def woken(event: asyncio.Event, seconds: float | None) -> None:
    """Return when the event is set, or after so many seconds; the event is clear then."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
    event.clear()


async def timed(work: Awaitable[T], tell: Callable[[float], None], clock: Clock) -> T:
    """What the work gives; `tell` gets the seconds that it took, also where it failed."""
    began = clock.monotonic()
    try:
        return await work
    finally:
        tell(clock.monotonic() - began)
