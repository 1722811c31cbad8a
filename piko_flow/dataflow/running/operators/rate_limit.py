"""How many items a Throttle may hand on now, whichever units they are of."""

from __future__ import annotations

import asyncio
from collections import deque

from piko_flow.clock import monotonic


class RateLimiter:
    """At most `count` items in any span of `per` seconds, for all units that one process runs of a stage.

    Wait with `wait()`, then say how many are taken, and when they have passed.
    """

    def __init__(self, count: int, per: float) -> None:
        self.free, self._per = count, per
        self._passed: deque[tuple[float, int]] = deque()  # when how many went on, over the last span
        self._someone_passed = asyncio.Event()

    async def wait(self) -> None:
        """Wait until at least one more item may pass; how many may is in `free`."""
        while True:
            now = monotonic()
            while self._passed and self._passed[0][0] + self._per <= now:
                self.free += self._passed.popleft()[1]
            if self.free:
                return
            if self._passed:
                await asyncio.sleep(self._passed[0][0] + self._per - now)
            else:  # another unit's items are on their way, and their span has not begun
                self._someone_passed.clear()
                await self._someone_passed.wait()

    def taken(self, items: int) -> None:
        """So many are on their way; they count from now on."""
        self.free -= items

    def passed(self, items: int) -> None:
        """So many of those taken have gone on; their span begins now."""
        self._passed.append((monotonic(), items))
        self._someone_passed.set()
