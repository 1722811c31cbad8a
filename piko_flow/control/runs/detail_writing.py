"""Writing details of runs into the store: later than they come, many at once, and never more than fit in memory."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping

from piko_flow.errors import StoreUnavailable
from piko_flow.store.ops_protocols import RunDetailStore
from piko_flow.store.ops_records import RunDetail

Write = Callable[[RunDetailStore], Awaitable[None]]
DetailAsk = Callable[[Write], Awaitable[None]]
MOST = 10_000  # details that wait while the store does not answer
MOST_TEXT = 64_000_000  # characters of them
TOGETHER = 500  # details in one transaction
TOGETHER_TEXT = 2_000_000  # characters of them; one detail may have more

log = logging.getLogger("piko_flow.details")


class DetailWriting:
    """What waits to be written. While the store does not answer it waits on; where it grows too long, the oldest goes."""

    def __init__(self, ask: DetailAsk, replica: str) -> None:
        self._ask, self._replica = ask, replica
        self._waiting: deque[RunDetail] = deque()
        self._text = 0
        self._live: Mapping[int, str] | None = None
        self._lost = 0

    @property
    def waiting(self) -> bool:
        """Whether something is to be written."""
        return bool(self._waiting) or self._live is not None

    def add(self, detail: RunDetail) -> None:
        """Write it after all that waits."""
        self._waiting.append(detail)
        self._text += size_of(detail)
        self._bound()

    def show(self, texts: Mapping[int, str]) -> None:
        """Show that the runs of this replica are at this, instead of what was to be shown before."""
        self._live = texts

    async def write(self) -> None:
        """Write all that waits, in groups; returns early, and nothing is lost, where the store does not answer."""
        try:
            while self._waiting:
                await self._write_some()
            if self._live is not None:
                live, self._live = self._live, None  # where it fails, the next look shows more
                await self._one(lambda store: store.show_live(self._replica, live))
        except StoreUnavailable:
            return
        if self._lost:
            log.warning("%d lists of log lines or reports of runs were not kept: too many waited", self._lost)
            self._lost = 0

    async def _write_some(self) -> None:
        group = self._group()
        try:
            await self._together(group)
        finally:
            self._waiting.extendleft(reversed(group))
            self._text += sum(map(size_of, group))
            self._bound()

    def _group(self) -> deque[RunDetail]:
        """Takes the oldest that wait, as many as one transaction writes."""
        group, text = deque[RunDetail](), 0
        while self._waiting and len(group) < TOGETHER:
            text += size_of(self._waiting[0])
            if group and text > TOGETHER_TEXT:
                break
            group.append(self._take())
        return group

    async def _together(self, group: deque[RunDetail]) -> None:
        """Write all of them; what is still in the group afterwards was not written."""
        together = tuple(group)
        try:
            await self._ask(lambda store: store.keep_details(together))
            group.clear()
        except StoreUnavailable:
            raise
        except Exception as error:
            log.debug("details of runs are written one by one, as they could not be together: %s", error)
            for detail in together:
                await self._one(lambda store, one=detail: store.keep_details([one]))  # type: ignore[misc]
                group.popleft()

    def _bound(self) -> None:
        while len(self._waiting) > MOST or (self._text > MOST_TEXT and len(self._waiting) > 1):
            self._take()
            self._lost += 1

    def _take(self) -> RunDetail:
        detail = self._waiting.popleft()
        self._text -= size_of(detail)
        return detail

    async def _one(self, write: Write) -> None:
        try:
            await self._ask(write)
        except StoreUnavailable:
            raise
        except Exception:  # it will fail again, and others wait behind it
            log.exception("a detail of a run could not be kept")


def size_of(detail: RunDetail) -> int:
    """How many characters a detail has."""
    return len(detail.report or "") + sum(len(line.message) for line in detail.lines)
