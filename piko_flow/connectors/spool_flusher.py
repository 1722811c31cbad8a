"""Writing what a spool has in stock through its sink, for as long as the spool is open."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

from piko_flow.clock import Clock
from piko_flow.connectors.spool_attempts import Attempts
from piko_flow.connectors.spool_errors import BrokenSpool, SpoolUnavailable
from piko_flow.connectors.spool_file import Letter, Row
from piko_flow.connectors.spool_items import ItemForms
from piko_flow.connectors.spool_letters import DeadLetters
from piko_flow.connectors.spool_models import UnknownModel
from piko_flow.connectors.spool_pieces import ENOUGH, Piece, Search
from piko_flow.connectors.spool_reading import (
    UNREADABLE,
    items_of,
    kept_piece,
    pieces_of,
    pieces_one_by_one,
    readable,
)
from piko_flow.connectors.spool_returning import Returning
from piko_flow.connectors.spool_shelf import Shelf
from piko_flow.connectors.spool_stock import Settled, Stock
from piko_flow.connectors.spool_waiting import happens
from piko_flow.errors import describe_error
from piko_flow.tasks import uninterrupted

log = logging.getLogger("piko_flow.spool")

_TEXT: Final = 1000  # characters of an error that a dead letter holds
_BACKLOG: Final = 3  # full lists that wait, from which on the next one is read ahead
_UNSETTLED: Final = 16  # lists that were written, whose removal the disk may still have to take
_GRACE: Final = 1.0  # seconds that settling may take when the spool is closed
_LOOK: Final = 30.0  # seconds between two looks for files of processes that died meanwhile
_FRESH, _PROVEN = 1, 2  # tries of an item that failed alone: while nothing was written, and while others were


class Flusher:
    """Takes lists from the stock, writes them, and removes what the sink has acknowledged.

    A list that fails is written again, then halved. An item becomes a dead letter when the sink names it, when it
    fails alone with an error that `retry` leaves out, or when it has failed alone as often as `retry` says while
    others were written. While the sink takes nothing at all, everything waits and is tried after ever longer pauses.
    """

    def __init__(
        self,
        stock: Stock,
        attempts: Attempts,
        forms: ItemForms,
        *,
        batch: int,
        within: float,
        dead_letters: DeadLetters | None,
        clock: Clock,
    ) -> None:
        self._stock, self._attempts, self._forms, self._clock = stock, attempts, forms, clock
        self._batch, self._within = batch, within
        self._returning = Returning(stock, forms, dead_letters)
        self._judged, self._judged_at, self._looked = 0, self._clock.monotonic(), self._clock.monotonic()
        self._look = True  # for dead letters
        self.unreadable = ""
        self.draining = False
        self._settling: deque[asyncio.Task[None]] = deque()
        self._made: tuple[list[Row], list[Any]] | None = None
        self._ahead: asyncio.Task[tuple[Shelf, list[Row]] | None] | None = None

    async def run(self) -> None:
        """Write until cancelled; while `draining`, until nothing waits."""
        try:
            while True:
                try:
                    if await self._step():
                        return
                except BrokenSpool as error:
                    await self._go_on_without(error)
                except SpoolUnavailable as error:
                    await self._note(error)
        finally:
            await uninterrupted(self._end())

    async def _step(self) -> bool:
        """Write one list, or wait for one; whether nothing is left to be done."""
        self._stock.arrived.clear()
        await self._stock.tidy()
        if self._look:
            self._look = False
            self._returning.offer()
        self._returning.check()
        await self._judge()
        if self._within and not self.draining:
            await self._settled()
            await self._gather()
        taken = await self._take()
        if taken is not None:
            self._take_ahead()
            await self._write(*taken)
            return False
        await self._settled()
        if self.draining and not self._stock.failing_items and not self._stock.arrived.is_set():
            await self._returning.settled()
            return True
        await self._wait()
        return False

    def _take_ahead(self) -> None:
        """Read the next list while this one is written, when there are many."""
        if self._stock.fresh >= _BACKLOG * self._batch:
            self._ahead = asyncio.create_task(self._prepared())

    async def _prepared(self) -> tuple[Shelf, list[Row]] | None:
        """The next list, with its items made again, while the sink is waited for."""
        taken = await self._stock.take(self._batch, alike=self._attempts.alike)
        if taken is not None:
            with suppress(*UNREADABLE):  # that is dealt with when it is its turn
                self._made = taken[1], items_of(taken[1], self._forms)
        return taken

    def _items(self, rows: list[Row]) -> list[Any]:
        """The items of the rows. Raises UnknownModel and ValueError, TypeError or KeyError."""
        made, self._made = self._made, None
        return made[1] if made is not None and made[0] is rows else items_of(rows, self._forms)

    async def _settled(self, *, but: int = 0) -> None:
        """Wait until the lists before are settled, but for the last few. Raises what that failed with."""
        while len(self._settling) > but:
            settling = self._settling[0]
            await asyncio.wait([settling])
            self._settling.popleft()
            settling.result()

    async def _end(self) -> None:
        """Let what was begun end, unless the disk does not take it: whoever opens the spool next meets it again."""
        tasks = [task for task in (*self._settling, self._ahead) if task is not None]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=_GRACE)
            for task in late:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        await self._returning.end(_GRACE)

    async def _go_on_without(self, error: BrokenSpool) -> None:
        try:
            await self._stock.set_aside(error)
            self._look = True  # at the letters that could be read
        except SpoolUnavailable as unavailable:
            await self._note(unavailable)

    async def _note(self, error: SpoolUnavailable) -> None:
        """The disk fails, so nothing can be read or noted: tell, and wait before it is tried again."""
        self._attempts.fail(error)
        log.error("the spool %s cannot go on for now: %s", self._stock.name, error)
        await self._attempts.rest()

    async def _take(self) -> tuple[Shelf, list[Row]] | None:
        ahead, self._ahead = self._ahead, None
        taken = None if ahead is None else await ahead
        if taken is not None:  # else something may have arrived since it was read ahead
            return taken
        return await self._stock.take(self._batch, alike=self._attempts.alike)

    async def _gather(self) -> None:
        """Wait until there are enough items for a full list, or the first has waited for long enough."""
        if not 0 < self._stock.fresh < self._batch:
            return
        oldest = await self._stock.oldest()
        left = 0.0 if oldest is None else self._within - (self._clock.now().timestamp() - oldest)
        until = self._clock.monotonic() + min(left, self._within)
        while self._stock.fresh < self._batch and not self.draining:
            self._stock.arrived.clear()
            if not await happens(self._stock.arrived, until - self._clock.monotonic(), self._clock):
                return

    async def _wait(self) -> None:
        """Until something arrives, or it is time to try again what failed, or to look for what was left."""
        pause = self._attempts.pause() if self._stock.failing_items else _LOOK
        if await happens(self._stock.arrived, pause, self._clock):
            return
        if self._clock.monotonic() - self._looked >= _LOOK:
            self._looked, self._look = self._clock.monotonic(), True
            await self._stock.adopt()

    async def _write(self, shelf: Shelf, rows: list[Row]) -> None:
        """Write a list, and settle it: whatever the sink does, this ends when each of its items has found its place."""
        try:
            items = self._items(rows)
        except UNREADABLE:
            known = self._of_known_models(rows)
            if len(known) == len(rows):
                await self._sort_out(shelf, rows, pieces_one_by_one(shelf.file, rows, self._forms))
            elif known:
                await self._write(shelf, known)
        else:
            if await self._attempts.whole(shelf.file, rows, items):
                await self._settle_meanwhile(shelf, rows, len(items))
            else:
                if self._attempts.failures:
                    await self._attempts.rest()
                await self._sort_out(shelf, rows, pieces_of(shelf.file, rows, items))

    def _of_known_models(self, rows: list[Row]) -> list[Row]:
        """Those that can be made again; the others stay in the spool, which is told."""
        known, reason = readable(rows, self._forms)
        if reason:
            self.unreadable = reason
            log.error("the spool %s keeps items that it cannot read: %s", self._stock.name, reason)
        return known

    async def _sort_out(self, shelf: Shelf, rows: list[Row], pieces: list[Piece]) -> None:
        """Find out which of the items of a list fail, and that it is not the sink that does."""
        proven, judged = False, [piece for piece in pieces if piece.hopeless]
        waiting, apart = [piece for piece in pieces if not piece.hopeless], list[Piece]()
        while waiting:
            search = Search(waiting, self._attempts.pieces)
            await search.run()
            judged += search.written
            apart += search.failed
            waiting, proven = search.left, proven or bool(search.written)
            if not proven and (waiting or len(apart) > ENOUGH):
                await self._attempts.rest()
                try:
                    proven = await self._others_pass()
                except (BrokenSpool, SpoolUnavailable):  # of another list, perhaps of another file
                    self._stock.put_back(shelf, rows)
                    raise
                if not proven:  # all of them again, and those that failed alone come last
                    waiting, apart = [*waiting, *apart], []
            elif waiting and not search.written:
                await self._attempts.rest()
        for piece in apart:
            piece.tries = _PROVEN if proven else _FRESH
        await self._settle(shelf, rows, [*judged, *apart])
        self._judged, self._judged_at = self._attempts.lists, self._clock.monotonic()

    async def _others_pass(self) -> bool:
        """Whether the sink takes the next list, which is the proof that it works."""
        taken = await self._take()
        if taken is None:
            return False
        shelf, rows = taken
        try:
            items = items_of(rows, self._forms)
        except UNREADABLE:
            return await self._readable_pass(shelf, self._of_known_models(rows))
        if await self._attempts.whole(shelf.file, rows, items):
            await self._settle(shelf, rows, [])
            return True
        self._stock.put_back(shelf, rows)
        return False

    async def _readable_pass(self, shelf: Shelf, rows: list[Row]) -> bool:
        """Whether the sink takes those of the items that their classes take; the others are hopeless."""
        pieces = pieces_one_by_one(shelf.file, rows, self._forms)
        if await self._attempts.pieces(pieces) is not None:
            self._stock.put_back(shelf, rows)
            return False
        await self._settle(shelf, rows, pieces)
        return not all(piece.hopeless for piece in pieces)

    async def _judge(self) -> None:
        """Try again, one by one, what has failed alone: when others were written since, or after a pause."""
        found = await self._stock.failing(self._batch) if self._due() else None
        if found is None:
            return
        shelf, rows = found
        proof, alone = self._attempts.lists > self._judged, not self._stock.fresh
        for row in rows:
            try:
                (piece,) = pieces_of(shelf.file, [row], items_of([row], self._forms))
            except UnknownModel as error:
                self.unreadable = str(error)
                continue
            except UNREADABLE:
                (piece,) = pieces_one_by_one(shelf.file, [row], self._forms)
            failure = None if piece.hopeless else await self._attempts.pieces([piece])
            if failure is None:
                await self._settle(shelf, [row], [piece])
                continue
            piece.error = failure
            counts = proof or (alone and row.tries >= _PROVEN)
            piece.tries = max(row.tries, _PROVEN) + 1 if counts else row.tries
            piece.hopeless = piece.tries - 1 > self._attempts.retry.attempts
            await self._settle(shelf, [row], [piece])
        self._judged, self._judged_at = self._attempts.lists, self._clock.monotonic()

    def _due(self) -> bool:
        if not self._stock.failing_items:
            return False
        rested = self._clock.monotonic() - self._judged_at >= self._attempts.pause()
        return rested and (self._attempts.lists > self._judged or not self._stock.fresh)

    async def _settle_meanwhile(self, shelf: Shelf, rows: Sequence[Row], items: int) -> None:
        """Remove the rows while the next lists are taken and written."""
        settled = Settled(list(rows), letters=self._attempts.letters())
        urgent = bool(settled.letters) or 2 * items > self._batch
        self._settling.append(asyncio.create_task(self._note_settled(shelf, settled, urgent=urgent)))
        await self._settled(but=_UNSETTLED if urgent else 1)

    async def _settle(self, shelf: Shelf, rows: Sequence[Row], pieces: Sequence[Piece]) -> None:
        """Remove the rows; pieces that are hopeless become dead letters, and those that failed stay."""
        settled = Settled(list(rows), letters=self._attempts.letters())
        for piece in pieces:
            row = piece.row
            if piece.hopeless:
                settled.letters.append(_letter(piece, self._clock.now().timestamp()))
            elif piece.error is not None:
                settled.rest.append((kept_piece(piece), row.origin, row.accepted_at, piece.key, piece.tries))
        try:
            await self._settled()
        except Exception:  # that list may have been one of another file
            await self._note_settled(shelf, settled)
            raise
        await self._note_settled(shelf, settled)

    async def _note_settled(self, shelf: Shelf, settled: Settled, *, urgent: bool = True) -> None:
        while True:
            try:
                await self._stock.settle(shelf, settled, urgent=urgent)
                break
            except SpoolUnavailable as error:
                await self._note(error)
        if settled.letters:
            self._returning.offer()


def _letter(piece: Piece, failed_at: float) -> Letter:
    error = piece.error or ValueError("it failed")
    return Letter(
        kept_piece(piece),
        piece.key,
        piece.row.origin,
        failed_at,
        type(error).__name__,
        describe_error(error, _TEXT),
    )
