"""Writing details of runs into the store: later than they come, in order, and never more than fit in memory."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Awaitable, Callable

from piko_flow.errors import StoreUnavailable
from piko_flow.store.ops_protocols import RunDetailStore

Write = Callable[[RunDetailStore], Awaitable[None]]
DetailAsk = Callable[[Write], Awaitable[None]]
MOST = 10_000  # writes that wait while the store does not answer

log = logging.getLogger("piko_flow.details")


class DetailWriting:
    """What waits to be written. While the store does not answer it waits on; where it grows too long, the oldest goes."""

    def __init__(self, ask: DetailAsk) -> None:
        self._ask = ask
        self._waiting: deque[Write] = deque()
        self._live: Write | None = None
        self._lost = 0

    @property
    def waiting(self) -> bool:
        """Whether something is to be written."""
        return bool(self._waiting) or self._live is not None

    def add(self, write: Write) -> None:
        """Write it after all that waits."""
        self._waiting.append(write)
        if len(self._waiting) > MOST:
            self._waiting.popleft()
            self._lost += 1

    def show(self, write: Write) -> None:
        """Write it instead of what was to be shown before."""
        self._live = write

    async def write(self) -> None:
        """Write all that waits; returns early, and nothing is lost, where the store does not answer."""
        try:
            while self._waiting:
                await self._one(self._waiting[0])
                self._waiting.popleft()
            if self._live is not None:
                live, self._live = self._live, None  # where it fails, the next look shows more
                await self._one(live)
        except StoreUnavailable:
            return
        if self._lost:
            log.warning("%d lists of log lines or reports of runs were not kept: too many waited", self._lost)
            self._lost = 0

    async def _one(self, write: Write) -> None:
        try:
            await self._ask(write)
        except StoreUnavailable:
            raise
        except Exception:  # it will fail again, and others wait behind it
            log.exception("a detail of a run could not be kept")
