"""Handing the dead letters of a spool to whoever takes them."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime
from typing import Final

from piko_flow.connectors.spool_file import Letter
from piko_flow.connectors.spool_items import ItemForms
from piko_flow.connectors.spool_letters import DeadLetters, SpooledLetter
from piko_flow.connectors.spool_reading import payload_of
from piko_flow.connectors.spool_stock import Stock
from piko_flow.errors import describe_error
from piko_flow.tasks import within

log = logging.getLogger("piko_flow.spool")

_AT_ONCE: Final = 100  # letters
_TIMEOUT: Final = 60.0  # seconds for taking so many


class Returning:
    """Offers dead letters in a task of its own, so that who takes them holds up nothing; each once at a time.

    Belongs to whoever awaits `end`.
    """

    def __init__(self, stock: Stock, forms: ItemForms, taker: DeadLetters | None) -> None:
        self._stock, self._forms, self._taker = stock, forms, taker
        self._task: asyncio.Task[None] | None = None
        self._asked = False

    def offer(self) -> None:
        """Begin to offer all that there are, unless that goes on already: then once more after it."""
        self._asked = self._taker is not None
        if self._asked and self._task is None:
            self._task = asyncio.create_task(self._work(), name=f"dead letters of spool {self._stock.name}")
            self._task.add_done_callback(lambda _: self._stock.arrived.set())  # whoever waits for that checks

    def check(self) -> None:
        """Raise what the offering failed with: BrokenSpool or SpoolUnavailable."""
        if self._task is not None and self._task.done():
            ended, self._task = self._task, None
            ended.result()
            if self._asked:  # meanwhile
                self.offer()

    async def settled(self) -> None:
        """Wait until what was asked for has been offered. Raises what that failed with."""
        while self._task is not None:
            await asyncio.wait([self._task])
            self.check()

    async def end(self, grace: float) -> None:
        """Stop after at most so many seconds; what was not taken stays in the spool."""
        task, self._task = self._task, None
        if task is not None:
            _, late = await asyncio.wait([task], timeout=grace)
            for one in late:
                one.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _work(self) -> None:
        while self._asked:
            self._asked = False
            await self._hand_over()

    async def _hand_over(self) -> None:
        """Offer the letters, the oldest first; those that are taken leave the spool. Logs where they are not taken."""
        stock = self._stock
        while self._taker is not None and (found := await stock.letters(_AT_ONCE)) is not None:
            shelf, letters = found
            told = [_told(stock.name, letter, self._forms) for letter in letters]
            try:
                await within(_TIMEOUT, self._taker.take(told), "nobody took them")
            except Exception as error:
                reason = describe_error(error, 500)
                log.warning("the dead letters of spool %s stay there: %s", stock.name, reason)
                return
            await stock.hand_over(shelf, letters)


def _told(spool: str, letter: Letter, forms: ItemForms) -> SpooledLetter:
    origin = letter.origin
    return SpooledLetter(
        spool=spool,
        payload=payload_of(letter, forms),
        key=letter.key,
        flow=origin.flow,
        run=origin.run,
        stage=origin.stage,
        error_type=letter.error_type,
        error=letter.error,
        failed_at=datetime.fromtimestamp(letter.failed_at, UTC),
        behind=letter.behind,
    )
