"""Reads the rows of a query in constant memory."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from piko_flow.connectors.sql_answer import answered
from piko_flow.connectors.sql_connection import DataRefused, SqlConnection, connect
from piko_flow.connectors.sql_pages import WHOLE, check_keys, pages
from piko_flow.connectors.sql_query import KeyRange, Query
from piko_flow.connectors.sql_rows import Rows
from piko_flow.connectors.sql_shapes import Shape
from piko_flow.connectors.sql_span import ends_of
from piko_flow.dataflow.stages.source import Reject

if TYPE_CHECKING:
    from sqlalchemy import URL

GIVEN: Final = 1000  # rows of one list, so that other stages get their turn


@dataclass(frozen=True)
class SqlReader:
    """Reads one split at a time, each over a connection of its own.

    With a key each page is a statement of its own, which begins after the last row of the page before; without one
    a single statement goes on for as long as the run reads.
    """

    url: URL
    query: Query
    shape: Shape
    window: tuple[datetime, datetime] | None
    page: int
    source: tuple[str, str]
    """What messages call it, and where it was written."""

    async def read_chunks(self, split: KeyRange | None, *, reject: Reject) -> AsyncGenerator[list[Any], None]:
        """Give the rows in lists of up to 1,000, in the order of the query. What a model refuses is rejected.

        Raises DatabaseFailed, and SqlRefused for rows that are read by key and have none.
        """
        connection = await connect(self.url, reads=True)
        try:
            pages = self._pages(connection, split or WHOLE) if self.query.order else self._stream(connection)
            async with aclosing(pages) as lists:
                async for names, rows in lists:
                    for start in range(0, len(rows), GIVEN):
                        yield self.shape.items(names, rows[start : start + GIVEN], reject)
        except DataRefused as refused:
            raise connection.failed(self.query.asked, refused.error) from refused.error
        finally:
            await connection.drop()

    async def ends(self) -> tuple[Any, Any]:
        """The lowest and the highest key; None where there is no row. Raises SqlRefused for rows without one."""
        connection = await connect(self.url, reads=True)
        what = "look for the ends of the key"
        try:
            span = await self._span(connection)
            await check_keys(connection, what, self.query, span=span, source=self.source)
            text, values = self.query.ends(connection.dialect, span=span)
            ((low, high),) = await connection.rows(what, text, values)
            return low, high
        finally:
            await connection.close()

    async def _pages(
        self, connection: SqlConnection, keys: KeyRange
    ) -> AsyncGenerator[tuple[tuple[str, ...], Rows], None]:
        span = await self._span(connection)
        reading = pages(
            connection, self.query.asked, self.query, self.page, span=span, keys=keys, source=self.source
        )
        async with aclosing(reading) as lists:
            async for names, rows in lists:
                yield names, rows

    async def _stream(self, connection: SqlConnection) -> AsyncGenerator[tuple[tuple[str, ...], Rows], None]:
        span = await self._span(connection)
        text, values = self.query.text(connection.dialect, span=span, keys=WHOLE, last=(), limit=None)
        async with aclosing(answered(connection, self.query.asked, text, values, self.page)) as lists:
            async for names, rows in lists:
                yield names, rows

    async def _span(self, connection: SqlConnection) -> Sequence[Any]:
        if self.window is None:
            return ()
        return await ends_of(connection, self.query, self.window)
