"""Attempts to write through a sink, and what is known from them of the sink."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from piko_flow.clock import Clock
from piko_flow.connectors.spool_delivery import Delivery
from piko_flow.connectors.spool_errors import NotKept
from piko_flow.connectors.spool_file import Letter, Origin, Row, SpoolFile
from piko_flow.connectors.spool_items import ItemForms
from piko_flow.connectors.spool_letters import Spooled
from piko_flow.connectors.spool_pieces import Piece
from piko_flow.connectors.spool_reading import keys_of
from piko_flow.connectors.spool_telling import Telling, shown_error
from piko_flow.dataflow.reports.facts import DeadLetter
from piko_flow.errors import ItemRejected, shorten
from piko_flow.retry import Retry
from piko_flow.tasks import ESCAPES, escape_failure


class Attempts:
    """Writes lists and counts: `lists` and `items` that were written, `failures` since the last one that was.

    `failing` is what the last attempt failed with, without secrets; empty after one that did not.
    """

    def __init__(
        self,
        delivery: Delivery,
        forms: ItemForms,
        retry: Retry,
        *,
        whole: bool,
        telling: Telling,
        clock: Clock,
    ) -> None:
        self._delivery, self._forms, self._whole, self._clock = delivery, forms, whole, clock
        self._telling = telling
        self._letters: list[Letter] = []
        self.retry = retry
        self.lists = self.items = self.failures = 0
        self.failing = ""
        self.ending = False  # whether who writes is cancelled: a failure is the last then

    @property
    def alike(self) -> bool:
        """Whether a list has to be of one run: a chain tells of an item that failed, and not whose it was."""
        return self._delivery.is_chain

    def pause(self) -> float:
        """Seconds to wait before the next attempt: longer with each failure."""
        return self.retry.delay(max(self.failures, 1))

    def fail(self, error: Exception) -> None:
        """Count a failure, so that the next pause is longer."""
        self.failures += 1
        self.failing = shown_error(error)

    async def rest(self) -> None:
        """Wait for as long as is due after the last failure."""
        await self._clock.sleep(self.pause())

    def letters(self) -> list[Letter]:
        """What stages behind the spool have made dead letters of since this was last asked."""
        letters, self._letters = self._letters, []
        return letters

    async def whole(self, file: SpoolFile, rows: Sequence[Row], items: Sequence[Any]) -> bool:
        """Write the items of the rows as one list; whether that went well.

        Where the sink names an item it has not failed, so `failures` is 0 then.
        """
        values = items
        if self._whole:
            origins = (row.origin for row in rows for _ in range(row.kept.items))
            keyed = zip(items, keys_of(file, rows), origins, strict=True)
            values = [_spooled(item, key, origin) for item, key, origin in keyed]
        return await self._write(values, rows[0].origin) is None

    async def pieces(self, pieces: Sequence[Piece]) -> Exception | None:
        """Write these items as one list; gives what that failed with.

        An item that the sink names, and one that fails alone with an error that is not tried again, is hopeless: the
        others are written without it.
        """
        left = [piece for piece in pieces if not piece.hopeless]
        while left:
            values = [
                _spooled(piece.item, piece.key, piece.row.origin) if self._whole else piece.item
                for piece in left
            ]
            error = await self._write(values, left[0].row.origin)
            if error is None:
                for piece in left:
                    piece.error = None  # it may have failed before
                return None
            if isinstance(error, ItemRejected) and self._delivery.names_one(error, len(left)):
                _give_up(left.pop(error.index), error)
            elif len(left) == 1 and not isinstance(error, self.retry.on):
                _give_up(left.pop(), error)
            else:
                return error
        return None

    async def _write(self, values: Sequence[Any], origin: Origin) -> Exception | None:
        failure: Exception | None = None
        try:
            self._keep(await self._delivery.write(values), origin)
        except ESCAPES as error:
            task = asyncio.current_task()
            failure = escape_failure(error, stopping=task is not None and task.cancelling() > 0)
        except Exception as error:
            failure = error
            if self.ending:  # of a failed group of tasks Python 3.11 does not tell that it was cancelled, too
                raise asyncio.CancelledError from error
        if failure is not None and not self._delivery.names_one(failure, len(values)):
            self.fail(failure)
            self._telling.failed(self.failing)
            return failure
        self.failures, self.failing = 0, ""
        self._telling.took()
        if failure is None:
            self.lists, self.items = self.lists + 1, self.items + len(values)
        return failure

    def _keep(self, letters: Sequence[DeadLetter], origin: Origin) -> None:
        failed_at = self._clock.now().timestamp()
        for letter in letters:
            behind = "" if letter.stage in self._delivery.first_stages else letter.stage
            for item in letter.items:
                key, whose = "", origin
                if isinstance(item, Spooled):
                    item, key, whose = item.payload, item.key, Origin(item.flow, item.run, item.stage)
                try:
                    (kept,) = self._forms.encode([item])
                except NotKept:
                    (kept,) = self._forms.encode([shorten(item, 2000)])
                told = letter.error_type, letter.error
                self._letters.append(Letter(kept, key, whose, failed_at, *told, behind))


def _give_up(piece: Piece, error: Exception) -> None:
    piece.error, piece.hopeless = error, True


def _spooled(item: Any, key: str, origin: Origin) -> Spooled:
    return Spooled(item, key, origin.flow, origin.run, origin.stage)
