"""Handing the dead letters of a spool to whoever takes them."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Final

from piko_flow.connectors.spool_file import Letter
from piko_flow.connectors.spool_items import ItemForms
from piko_flow.connectors.spool_letters import DeadLetters, SpooledLetter
from piko_flow.connectors.spool_reading import payload_of
from piko_flow.connectors.spool_stock import Stock
from piko_flow.errors import describe_error

log = logging.getLogger("piko_flow.spool")

_AT_ONCE: Final = 100  # letters


async def hand_over(stock: Stock, forms: ItemForms, taker: DeadLetters | None) -> None:
    """Offer all dead letters, the oldest first; those that are taken leave the spool, the others stay.

    Logs where they are not taken, and raises nothing for it.
    """
    while taker is not None and (found := await stock.letters(_AT_ONCE)) is not None:
        shelf, letters = found
        try:
            await taker.take([_told(stock.name, letter, forms) for letter in letters])
        except Exception as error:
            log.warning("the dead letters of spool %s stay there: %s", stock.name, describe_error(error, 500))
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
