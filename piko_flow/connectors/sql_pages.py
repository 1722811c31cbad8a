"""The rows of a query in pages: each a statement of its own, which begins after the last row of the page before."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Any, Final

from piko_flow.connectors.sql_answer import first_answered
from piko_flow.connectors.sql_connection import SqlConnection
from piko_flow.connectors.sql_query import KeyRange, Query

Rows = Sequence[Sequence[Any]]
WHOLE: Final = KeyRange()


async def pages(
    connection: SqlConnection,
    what: str,
    query: Query,
    size: int,
    *,
    span: Sequence[Any] = (),
    keys: KeyRange = WHOLE,
    last: Sequence[Any] = (),
) -> AsyncGenerator[tuple[tuple[str, ...], Rows], None]:
    """The rows after `last`, in the order of the query, in lists of at most `size`, with the names of the columns."""
    places: tuple[int, ...] = ()
    while True:
        text, values = query.text(connection.dialect, span=span, keys=keys, last=last, limit=size)
        names, rows = await first_answered(connection, what, text, values, size)
        if rows:
            yield names, rows
        if len(rows) < size:
            return
        places = places or places_of(query, names)
        last = [rows[-1][place] for place in places]


def places_of(query: Query, names: Sequence[str]) -> tuple[int, ...]:
    """Where in a row the values are that the query orders by."""
    return tuple(names.index(one) for one in query.order)
