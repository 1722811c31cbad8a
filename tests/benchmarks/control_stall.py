"""How long an event loop did not come round, seen from inside."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import perf_counter

EVERY = 0.001  # seconds between two looks


class Stall:
    """The longest time, in seconds, by which a look came late."""

    longest = 0.0

    async def watch(self) -> None:
        """Look until cancelled."""
        while True:
            asked = perf_counter()
            await asyncio.sleep(EVERY)
            self.longest = max(self.longest, perf_counter() - asked - EVERY)


@asynccontextmanager
async def watching() -> AsyncIterator[Stall]:
    """Watch the running loop over the block. The stall that lasts until the block ends counts, too."""
    stall = Stall()
    task = asyncio.create_task(stall.watch(), name="stall watch")
    await asyncio.sleep(0)
    try:
        yield stall
        await asyncio.sleep(2 * EVERY)
    finally:
        task.cancel()
        await asyncio.wait([task])
