"""A piece of a run's log: the newest lines first of all, older ones when they are asked for."""

from __future__ import annotations

from dataclasses import dataclass

from piko_flow.store.ops_protocols import RunDetailStore
from piko_flow.store.ops_records import LogLine

TAIL = 500  # lines of one piece


@dataclass(frozen=True, slots=True)
class LogPiece:
    """Lines in order. `older` is what to ask the piece before it with, 0 where it has the first line; `last` is the
    number of the log's last line, `more` says that lines after this piece were there already."""

    lines: tuple[LogLine, ...]
    older: int
    last: int

    @property
    def more(self) -> bool:
        """Whether there are lines after these."""
        return bool(self.lines) and self.lines[-1].number < self.last


async def read_piece(store: RunDetailStore, run: int, *, before: int = 0) -> LogPiece:
    """The last lines of those before this number; the newest of all where it is 0."""
    last = (await store.last_lines([run])).get(run, 0)
    end = min(before - 1, last) if before else last
    after = max(end - TAIL, 0)
    lines = await store.log(run, after=after, limit=end - after) if end > 0 else []
    return LogPiece(tuple(lines), after + 1 if after else 0, last)


async def read_on(store: RunDetailStore, run: int, *, after: int) -> LogPiece:
    """The first lines of those after this number."""
    lines = await store.log(run, after=after, limit=TAIL)
    last = lines[-1].number if lines else after
    if len(lines) == TAIL:  # fewer are all that there are
        last = (await store.last_lines([run])).get(run, last)
    return LogPiece(tuple(lines), 0, last)
