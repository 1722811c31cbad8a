"""The rows of one part that wait for the transaction in which their run ends."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final

from piko_flow.connectors.sql_errors import REASON, DatabaseFailed, RowsRefused
from piko_flow.connectors.sql_facts import look_at, span_removal
from piko_flow.connectors.sql_rows import RowMaker, Rows, Span
from piko_flow.connectors.sql_staged import staged_rows, staged_text
from piko_flow.connectors.sql_table import SqlTable
from piko_flow.connectors.sql_texts import TEXTS
from piko_flow.dataflow.stages.sink import Part, Receipt, Staging, Transaction
from piko_flow.errors import describe_error

STEP: Final = 1000  # rows of one call inside the transaction, so that its event loop is not held for long
CHUNK: Final = 5000  # rows of one staged text
OWN: Final = "the application's own database"
LARGE: Final = 2_000_000  # characters of one staged text


class TooManyRows(ValueError):
    """A run writes more rows than one transaction of this database should move; nothing was written."""


class LedgerPart:
    """Holds rows in memory up to `in_memory` of them; when there are more, all of the part is staged."""

    def __init__(
        self,
        table: SqlTable,
        part: Part,
        staging: Staging,
        *,
        in_memory: int,
        max_rows: int | None,
        span: Span | None,
    ) -> None:
        self._part, self._staging, self._in_memory, self._max_rows = part, staging, in_memory, max_rows
        self._maker = RowMaker(table, dialect_of(staging.ledger), span=span)
        self._held: list[Sequence[Any]] = []
        self._chunks = self._items = 0

    async def write(self, items: Sequence[Any]) -> None:
        """Take the rows; stages them where there are too many to be held."""
        rows = self._maker.rows(items)
        check_count(self._items + len(rows), self._max_rows)
        self._held += rows
        self._items += len(rows)
        while len(self._held) > self._in_memory or (self._chunks and len(self._held) >= CHUNK):
            await self._stage(self._held[:CHUNK])
            del self._held[:CHUNK]

    async def receipt(self) -> tuple[Receipt, bool]:
        """The receipt, and whether what it tells of outlives this process."""
        if self._chunks:
            if self._held:
                await self._stage(self._held)
            return Receipt(self._part, self._items, {"chunks": self._chunks}), True
        return Receipt(self._part, self._items, {"rows": self._held}), False

    async def _stage(self, rows: Rows) -> None:
        text = staged_text(rows)
        if len(text) > LARGE and len(rows) > 1:
            await self._stage(rows[: len(rows) // 2])
            await self._stage(rows[len(rows) // 2 :])
            return
        await self._staging.add(self._part, self._chunks, text)
        self._chunks += 1


async def move(
    table: SqlTable, transaction: Transaction, receipts: Sequence[Receipt], *, max_rows: int | None
) -> None:
    """Write the rows of all parts within the transaction, in the order of their units.

    Raises TooManyRows, RowsRefused for a row that the table does not take, DatabaseFailed for what else the database
    says; its cause is the driver's error, by which the transaction's owner tells whether trying again may help.
    """
    from sqlalchemy.exc import DBAPIError

    try:
        await _moved(table, transaction, receipts, max_rows)
    except DBAPIError as error:
        reason = describe_error(error.orig or error, REASON)
        raise DatabaseFailed(what=f"write to table {table.name}", url=OWN, reason=reason) from error


async def _moved(
    table: SqlTable, transaction: Transaction, receipts: Sequence[Receipt], max_rows: int | None
) -> None:
    dialect = transaction.dialect
    check_count(sum(receipt.items for receipt in receipts), max_rows if dialect == "sqlite" else None)

    async def ask(text: str, values: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
        found: Sequence[Sequence[Any]] = (await transaction.execute(text, values)).fetchall()
        return found

    facts = await look_at(table, dialect, ask)
    if table.mode == "replace_window" and receipts:
        removal, ends = span_removal(table, facts, receipts[0].part, dialect)
        await transaction.execute_many(removal, [ends])
    text = TEXTS[dialect].write(table.name, table.columns, table.key)
    for receipt in sorted(receipts, key=lambda one: one.part.number):
        async for rows in _prepared(transaction, receipt):
            for start in range(0, len(rows), STEP):
                await _written(table, transaction, text, facts.fitted(rows[start : start + STEP]))


async def _written(table: SqlTable, transaction: Transaction, text: str, rows: Rows) -> None:
    from sqlalchemy.exc import DataError, IntegrityError

    try:
        await transaction.execute_many(text, rows)
    except (DataError, IntegrityError) as error:
        raise RowsRefused(table=table.name, reason=describe_error(error.orig or error, REASON)) from error


async def _prepared(transaction: Transaction, receipt: Receipt) -> AsyncIterator[Rows]:
    if "rows" in receipt.data:
        yield receipt.data["rows"]
        return
    chunks = 0
    async for text in transaction.staged(receipt.part):
        chunks += 1
        yield staged_rows(text)
    if chunks != receipt.data["chunks"]:
        raise LookupError(
            f"unit {receipt.part.unit} has staged {receipt.data['chunks']} chunks, {chunks} are there; "
            "run it again"
        )


def check_count(count: int, most: int | None) -> None:
    """Raise TooManyRows beyond `most`."""
    if most is not None and count > most:
        raise TooManyRows(
            f"a run may write {most:,} rows here (max_rows), this one has more: moving them in one transaction would "
            "hold up everybody else who writes. Take smaller windows, or write by key to a database of its own"
        )


def dialect_of(url: str) -> str:
    """The kind of database that a URL names: sqlite, mysql, postgresql, memory."""
    return url.partition(":")[0].partition("+")[0]
