"""The only place that reads time."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import Final, Protocol

monotonic: Final = time.perf_counter
"""Seconds on a clock that never goes back; only differences mean something."""


def now() -> datetime:
    """The present as an aware UTC datetime."""
    return datetime.now(UTC)


class Clock(Protocol):
    """Where the control half gets its time, so that a test can be the clock."""

    def now(self) -> datetime:
        """The present as an aware UTC datetime; may jump when the host's clock is set."""
        ...

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back; only differences mean something."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after so many seconds; cancelling is safe."""


class SystemClock:
    """The host's clock."""

    def now(self) -> datetime:
        """The present as an aware UTC datetime."""
        return now()

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back."""
        return monotonic()

    async def sleep(self, seconds: float) -> None:
        """Return after so many seconds; cancelling is safe."""
        await asyncio.sleep(seconds)
