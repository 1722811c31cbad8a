"""Rows that are written to another database, batch by batch in short transactions, or all at once at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from piko_flow.connectors.sql_connection import DataRefused, SqlConnection, connect
from piko_flow.connectors.sql_errors import REASON
from piko_flow.connectors.sql_facts import look_at, positional, span_removal
from piko_flow.connectors.sql_ledger_part import check_count
from piko_flow.connectors.sql_rows import RowMaker, Rows, Span, TableFacts
from piko_flow.connectors.sql_table import SqlTable
from piko_flow.connectors.sql_texts import TEXTS
from piko_flow.dataflow.stages.sink import Part, Receipt
from piko_flow.errors import ItemRejected, describe_error

if TYPE_CHECKING:
    from sqlalchemy import URL


class DirectPart:
    """Writes each batch in a transaction of its own, over one connection that is made anew after a failure."""

    def __init__(self, table: SqlTable, url: URL) -> None:
        self._table, self._url = table, url
        self._maker = RowMaker(table, url.get_backend_name())
        self._text = TEXTS[url.get_backend_name()].write(table.name, table.columns, table.key)
        self._what = f"write to table {table.name}"
        self._connection: SqlConnection | None = None
        self._facts = TableFacts()

    async def open(self) -> None:
        """Connect, so that what cannot work is told before anything is read."""
        await self._connected()

    async def write(self, items: Sequence[Any]) -> None:
        """Write all of the items, or none and raise. ItemRejected names the first whose values are refused."""
        rows = self._maker.rows(items)
        connection = await self._connected()
        rows = self._facts.fitted(rows)
        try:
            await connection.write(self._what, self._text, rows)
        except DataRefused as refused:
            index, error = await self._poison(connection, rows, refused.error)
            raise ItemRejected(index, describe_error(error, REASON)) from error

    async def close(self) -> None:
        """Give the connection back."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            await connection.close()

    async def _connected(self) -> SqlConnection:
        if self._connection is None or self._connection.closed:
            self._connection = await connect(self._url)
            self._facts = await facts_of(self._table, self._connection)
        return self._connection

    async def _poison(
        self, connection: SqlConnection, rows: Rows, error: BaseException
    ) -> tuple[int, BaseException]:
        """The first row without which those before it can be written, and what is said of it, found by halving.

        Always rows from the first one on are tried, because a row may be refused for the sake of one before it.
        """
        fine, bad = 0, len(rows)
        while bad - fine > 1:
            middle = (fine + bad) // 2
            said = await connection.tried(self._what, self._text, rows[:middle])
            if said is None:
                fine = middle
            else:
                bad, error = middle, said
        return bad - 1, error


class HeldPart:
    """Holds the rows of a window, to be swapped for what is there in one transaction at the commit."""

    def __init__(self, table: SqlTable, part: Part, url: URL, *, max_rows: int, span: Span) -> None:
        self._part, self._max_rows = part, max_rows
        self._maker = RowMaker(table, url.get_backend_name(), span=span)
        self._held: list[Sequence[Any]] = []

    async def write(self, items: Sequence[Any]) -> None:
        """Take the rows. Raises TooManyRows beyond `max_rows`."""
        rows = self._maker.rows(items)
        check_count(len(self._held) + len(rows), self._max_rows)
        self._held += rows

    def receipt(self) -> Receipt:
        """The receipt, which holds the rows."""
        return Receipt(self._part, len(self._held), {"rows": self._held})


async def swap(table: SqlTable, url: URL, receipts: Sequence[Receipt], *, max_rows: int) -> None:
    """Remove what the table has of the window and write these rows instead, in one transaction."""
    check_count(sum(receipt.items for receipt in receipts), max_rows)
    connection = await connect(url)
    try:
        facts = await facts_of(table, connection)
        ordered = sorted(receipts, key=lambda one: one.part.number)
        rows = facts.fitted([row for receipt in ordered for row in receipt.data["rows"]])
        text = TEXTS[connection.dialect].write(table.name, table.columns, table.key)
        first = span_removal(table, facts, receipts[0].part, connection.dialect)
        try:
            await connection.write(f"replace a window of table {table.name}", text, rows, first=first)
        except DataRefused as refused:
            raise connection.failed(
                f"replace a window of table {table.name}", refused.error
            ) from refused.error
    finally:
        await connection.close()


async def facts_of(table: SqlTable, connection: SqlConnection) -> TableFacts:
    """What the database tells of the table."""

    async def ask(text: str, values: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
        return await connection.rows(
            f"look at table {table.name}", *positional(text, values, connection.dialect)
        )

    return await look_at(table, connection.dialect, ask)
