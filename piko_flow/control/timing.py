"""The database's time, as a replica knows it, and how to wait for something or for an instant."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import datetime, timedelta

from piko_flow.clock import Clock


class DatabaseTime:
    """The database's clock, learned from its answers; what is due is judged by it, not by the host's clock.

    Between answers it goes on with the monotonic clock, so setting the host's clock does not move it.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._known = clock.now()
        self._at = clock.monotonic()

    def observe(self, told: datetime) -> None:
        """The database told its time in answer to a question.

        It is taken as the time at which the answer came: it may be behind by as long as the answer was on its
        way, and is never ahead, so nothing is done before it is due.
        """
        self._at = self._clock.monotonic()
        self._known = told

    def now(self) -> datetime:
        """The database's time at this moment."""
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
