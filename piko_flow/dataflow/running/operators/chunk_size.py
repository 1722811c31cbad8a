"""How much a fused operator does at once, by how long it took before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from piko_flow.clock import monotonic

LONGEST = 1024  # items of a chunk
QUICK, SLOW = (
    0.002,
    0.006,
)  # seconds: a chunk that took less may be larger next time, one that took more is smaller
LOOK = 0.001  # seconds that may pass between two looks at the clock, as far as items take as long as those before
MOST = 64  # items between two looks: where they suddenly take long, the loop is held for so many of them once
READY: tuple[Iterable[object], ...] = ([], (), {}, set(), range(1))
PROMPT = tuple(type(iter(items)) for items in READY)  # iterators that never give slowly


class Pace:
    """`limit` is how many items are read or received at once, `step` and `piece` how many are read and worked on
    between two looks at the clock."""

    def __init__(self, longest: int) -> None:
        self.longest = min(LONGEST, longest)
        self.limit = self.step = self.piece = 1
        self.reading = 0.0  # seconds that reading the last chunk took

    def read(self, items: int, seconds: float) -> None:
        """So many items were read in so many seconds."""
        self.reading = seconds
        self.step = between_looks(items, seconds)

    def worked(self, items: int, seconds: float) -> None:
        """So many items were worked on in so many seconds."""
        if seconds > SLOW:  # it was noticed late: the items after the last look took long, not those before
            items = min(items, self.piece)
        self.piece = between_looks(items, seconds)

    def adapt(self, items: int, seconds: float) -> None:
        """Size the next chunk by how long the last one took, reading included."""
        if seconds < QUICK:
            self.limit = min(self.limit * 2, self.longest)
        elif seconds > SLOW:
            self.limit = max(min(self.limit // 2, int(items * QUICK / seconds)), 1)


def between_looks(items: int, seconds: float, most: int = MOST) -> int:
    """How many items fit between two looks at the clock if they take as long as these did."""
    if seconds * most <= LOOK * items:
        return most
    return max(int(LOOK * items / seconds), 1)


def some(iterator: Iterator[Any], limit: int, step: int) -> list[Any]:
    """The next items, at most `limit`; fewer at the end, and when they come slowly. None only at the end."""
    if isinstance(iterator, PROMPT):
        return list(islice(iterator, limit))
    chunk: list[Any] = []
    ends = monotonic() + QUICK
    while len(chunk) < limit:
        wanted = min(step, limit - len(chunk))
        before = len(chunk)
        chunk.extend(islice(iterator, wanted))
        if len(chunk) - before < wanted or monotonic() >= ends:
            break
    return chunk
