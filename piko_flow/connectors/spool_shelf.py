"""An open file of a spool, and the lists in it that need not be read again."""

from __future__ import annotations

import sys
from collections import deque
from dataclasses import dataclass, field, replace
from typing import Final

from piko_flow.connectors.spool_file import Row, SpoolFile, Totals, some_of

_MOST: Final = 4_000_000  # bytes of lists that are held
_EACH, _KEY = 600, 100  # bytes that a list takes beside its body, and about those of a key
_SMALL: Final = 8192  # bytes of a body that is copied, as whoever encoded it may have left it far more room


class Recent:
    """The lists of a file that were accepted last and are on the disk, up to a few megabytes: they are taken from here.

    It holds every list after number `after` that waits and never failed alone.
    """

    def __init__(self, *, after: int = sys.maxsize) -> None:
        self._after = after
        self._rows: deque[Row] = deque()
        self._bytes = 0

    def add(self, row: Row) -> None:
        """Hold a list that came after all others."""
        if len(row.kept.body) < _SMALL:
            row = replace(row, kept=replace(row.kept, body=bytes(memoryview(row.kept.body))))
        self._rows.append(row)
        self._bytes += _size(row)
        if self._bytes > _MOST:  # the sink is far behind, and what comes is read when it is its turn
            self.forget()

    def forget(self) -> None:
        """Hold nothing of what has come so far."""
        if self._rows:
            self._after = self._rows[-1].number
        self._rows.clear()
        self._bytes = 0

    def next(self, after: int, *, items: int, alike: bool) -> list[Row] | None:
        """The lists after that number that `SpoolFile.rows_after` would find; None where that has to be asked."""
        if after < self._after:
            return None
        while self._rows and self._rows[0].number <= after:
            self._after = self._rows[0].number
            self._bytes -= _size(self._rows.popleft())
        return some_of(self._rows, items=items, alike=alike)


def _size(row: Row) -> int:
    return _EACH + len(row.kept.body) + _KEY * len(row.keys or ())


@dataclass(eq=False)
class Shelf:
    """An open file, what of it waits, and up to which list it was taken."""

    file: SpoolFile
    items: int = 0
    bytes: int = 0
    letters: int = 0
    letter_bytes: int = 0
    failing: int = 0
    taken: int = 0
    owed: set[int] = field(default_factory=set)
    """Lists that were written, whose removal the disk did not take yet."""
    recent: Recent = field(default_factory=Recent)

    @classmethod
    def holding(cls, file: SpoolFile, totals: Totals) -> Shelf:
        """A file that holds so much already."""
        return cls(
            file,
            items=totals.items,
            bytes=totals.bytes,
            letters=totals.letters,
            letter_bytes=totals.letter_bytes,
            failing=totals.failing,
        )
