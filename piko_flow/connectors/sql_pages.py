"""The rows of a query in pages: each a statement of its own, which begins after the last row of the page before."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Any, Final, NoReturn

from piko_flow.connectors.sql_answer import first_answered
from piko_flow.connectors.sql_connection import SqlConnection
from piko_flow.connectors.sql_errors import SqlRefused
from piko_flow.connectors.sql_query import KeyRange, Query
from piko_flow.connectors.sql_rows import Rows

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
    source: tuple[str, str],
) -> AsyncGenerator[tuple[tuple[str, ...], Rows], None]:
    """The rows after `last`, in the order of the query, in lists of at most `size`, with the names of the columns.

    Raises SqlRefused, of the `source` (what, where), for rows without a key.
    """
    places: tuple[int, ...] = ()
    if keys.low is None:  # the ranges above have no such rows
        await check_keys(connection, what, query, span=span, last=last, source=source)
    while True:
        text, values = query.text(connection.dialect, span=span, keys=keys, last=last, limit=size)
        names, rows = await first_answered(connection, what, text, values, size)
        if rows:
            yield names, rows
        if len(rows) < size:
            return
        places = places or places_of(query, names)
        last = [rows[-1][place] for place in places]
        if last[-1] is None:  # written since they were asked for
            refuse_key(query, source)


async def check_keys(
    connection: SqlConnection,
    what: str,
    query: Query,
    *,
    span: Sequence[Any],
    last: Sequence[Any] = (),
    source: tuple[str, str],
) -> None:
    """Raise SqlRefused where a row has no key: no page begins after it, and it lies in no range of keys."""
    if span and query.order[-1] == query.column:
        return  # such a row has no place in a span
    text, values = query.without_key(connection.dialect, span=span, last=last)
    if await connection.rows(what, text, values):
        refuse_key(query, source)


def refuse_key(query: Query, source: tuple[str, str]) -> NoReturn:
    """Raise the SqlRefused for a row without a key."""
    key, (stage, where) = query.order[-1], source
    raise SqlRefused(
        what=stage,
        where=where,
        rule=f"each row has a value in its key {key}",
        got=f"there are rows whose {key} is NULL, and reading by key would lose rows",
        advice=f"Take a key that is NOT NULL, read a SELECT with WHERE {key} IS NOT NULL, or read without a key",
    )


def places_of(query: Query, names: Sequence[str]) -> tuple[int, ...]:
    """Where in a row the values are that the query orders by."""
    return tuple(names.index(one) for one in query.order)
