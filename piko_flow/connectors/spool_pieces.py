"""The items of lists one by one, and the search for those that a sink does not take."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from piko_flow.connectors.spool_file import Row

ENOUGH: Final = 2  # items that fail alone, one after the other, until it is the sink that is taken to fail


@dataclass(eq=False, slots=True)
class Piece:
    """One item of a list, its place there and its key; `error` is what it failed with when it was written alone.

    `hopeless` says that it is not to be tried again, `tries` how often it was where it is.
    """

    item: Any
    row: Row
    place: int
    key: str
    error: Exception | None = None
    hopeless: bool = False
    tries: int = 0


Attempt = Callable[[Sequence[Piece]], Awaitable[Exception | None]]


class Search:
    """Halves lists that fail until what is to blame stands alone.

    `attempt` writes pieces, or says what they failed with. Stops when items have failed alone one after the other: then
    it may be the sink that fails. `written` are those that were written, `failed` those that failed alone, and `left`
    those that were not tried alone.
    """

    def __init__(self, pieces: Sequence[Piece], attempt: Attempt) -> None:
        self._parts: list[Sequence[Piece]] = [pieces]
        self._attempt = attempt
        self.written: list[Piece] = []
        self.failed: list[Piece] = []
        self.left: list[Piece] = []

    async def run(self) -> None:
        """Write all that can be written, in order."""
        in_a_row = 0
        while self._parts and in_a_row < ENOUGH:
            part = self._parts.pop()
            error = await self._attempt(part)
            if error is None:
                self.written += part
                in_a_row = 0
            elif len(part) > 1:
                self._parts += _halves(part)
            else:
                part[0].error = error
                self.failed += part
                in_a_row += 1
        self.left = [piece for part in reversed(self._parts) for piece in part]


def _halves(pieces: Sequence[Piece]) -> Iterator[Sequence[Piece]]:
    """The second half before the first, as they are taken from the end."""
    middle = len(pieces) // 2
    yield pieces[middle:]
    yield pieces[:middle]
