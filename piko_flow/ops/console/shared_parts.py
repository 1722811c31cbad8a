"""Parts of pages that many browsers ask for again and again: made once for all who may see the same."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field

from piko_flow.clock import Clock, SystemClock

KEPT = 128  # parts; the one that was asked for longest ago goes first


@dataclass
class _Part:
    text: str = ""
    until: float = float("-inf")
    making: asyncio.Lock = field(default_factory=asyncio.Lock)


class SharedParts:
    """Gives a part as it was at most `seconds` ago, or makes it anew; of many who ask at once one makes it.

    It belongs to one event loop.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._parts: OrderedDict[Hashable, _Part] = OrderedDict()

    async def text(self, key: Hashable, make: Callable[[], Awaitable[str]], *, seconds: float) -> str:
        """The part of this key. Raises what `make` raises; then the next who asks makes it."""
        part = self._parts.setdefault(key, _Part())
        self._parts.move_to_end(key)
        if len(self._parts) > KEPT:
            self._parts.popitem(last=False)
        async with part.making:
            if self._clock.monotonic() >= part.until:
                text = await make()
                part.text, part.until = text, self._clock.monotonic() + seconds
            return part.text

    def forget(self) -> None:
        """Make everything anew: somebody has changed something here and wants to see it."""
        self._parts.clear()
