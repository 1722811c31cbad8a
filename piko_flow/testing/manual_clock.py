"""A clock that stands still until the test moves it."""

from __future__ import annotations

import asyncio
from bisect import bisect_left, bisect_right, insort
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

START: Final = datetime(2026, 1, 1, tzinfo=UTC)
MOMENT: Final = timedelta(microseconds=1)
TURNS: Final = 100_000  # turns of the loop in which everything has to come to rest
WAKES: Final = 10_000_000  # sleepers that one step forward may wake


class _Sleeper(NamedTuple):
    wakes: datetime
    number: int
    waiting: asyncio.Future[None]


class ManualClock:
    """Time for one event loop, moved by `advance` and `advance_to`, so that days pass in an instant and the same each time.

    Sleepers wake in the order of their times, those of one instant in the order in which they fell asleep. Before
    the time of the next ones comes, whatever the last ones set off runs until it waits for something: for the
    clock, for each other, or for the world outside (threads, processes, sockets), which is not waited for.
    """

    def __init__(self, start: datetime = START) -> None:
        if start.utcoffset() is None:
            raise ValueError(f"the clock's start must be an aware datetime, got {start!r}")
        self._start = self._now = start.astimezone(UTC)
        self._sleepers: list[_Sleeper] = []
        self._slept = 0
        self._moving = False

    def now(self) -> datetime:
        """The clock's present, in UTC."""
        return self._now

    def monotonic(self) -> float:
        """Seconds since the clock's start."""
        return (self._now - self._start).total_seconds()

    async def sleep(self, seconds: float) -> None:
        """Return when the clock has been moved so far; zero or less lets the others have a turn. Cancelling is safe."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        # What is shorter than a microsecond still moves on, or a loop around it would never end.
        wakes = self._now + max(timedelta(seconds=seconds), MOMENT)
        self._slept += 1
        sleeper = _Sleeper(wakes, self._slept, asyncio.get_running_loop().create_future())
        insort(self._sleepers, sleeper)
        try:
            await sleeper.waiting
        finally:
            place = bisect_left(self._sleepers, sleeper)
            if self._sleepers[place : place + 1] == [sleeper]:  # cancelled, not woken
                del self._sleepers[place]

    @property
    def next_wake(self) -> datetime | None:
        """When the first sleeper wakes; None while nobody sleeps."""
        return self._sleepers[0].wakes if self._sleepers else None

    @property
    def sleepers(self) -> int:
        """How many sleep now."""
        return len(self._sleepers)

    async def advance(self, seconds: float) -> None:
        """Move so many seconds forward; see `advance_to`."""
        await self.advance_to(self._now + timedelta(seconds=seconds))

    async def advance_to(self, instant: datetime) -> None:
        """Move forward to the instant, waking on the way whoever sleeps until then; returns when all is at rest.

        Raises ValueError for an instant that has passed, and AssertionError when the loop does not come to rest or
        somebody never stops sleeping too little. When it is cancelled the clock stays where it had got to.
        """
        if instant < self._now:
            raise ValueError(f"a clock is not put back: it is {self._now}, asked for was {instant}")
        if self._moving:
            raise RuntimeError("the clock is being moved already: one task moves it, the others sleep")
        self._moving = True
        try:
            await self.settle()
            woken = 0
            while self._sleepers and self._sleepers[0].wakes <= instant:
                woken += self._wake_first()
                if woken > WAKES:
                    raise AssertionError(f"more than {WAKES} sleepers woke on the way to {instant}")
                await self.settle()
            self._now = instant.astimezone(UTC)
        finally:
            self._moving = False

    def _wake_first(self) -> int:
        """Wake all sleepers of the first instant, and be there."""
        self._now = self._sleepers[0].wakes
        count = bisect_right(self._sleepers, self._now, key=lambda sleeper: sleeper.wakes)
        first, self._sleepers = self._sleepers[:count], self._sleepers[count:]
        loop = asyncio.get_running_loop()
        for sleeper in first:
            if sleeper.waiting.get_loop() is not loop:
                raise RuntimeError("somebody sleeps on another event loop; a manual clock serves one")
            if not sleeper.waiting.done():
                sleeper.waiting.set_result(None)
        return count

    async def settle(self) -> None:
        """Let the loop turn until nothing in it is ready to run. Raises AssertionError when that never comes."""
        ready = getattr(asyncio.get_running_loop(), "_ready", None)
        for turn in range(TURNS):
            await asyncio.sleep(0)
            # asyncio's own loop tells what is ready; of another one it is known only that a hundred turns are many.
            if not ready if ready is not None else turn >= 100:
                return
        raise AssertionError(f"the loop is still busy after {TURNS} turns at {self._now}")
