"""The ends of a window as the column is compared with, which keeps instants in its own way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from piko_flow.connectors.sql_connection import SqlConnection
from piko_flow.connectors.sql_query import Query
from piko_flow.connectors.sql_values import bound, utc

NOW: Final[Mapping[str, str]] = {
    "sqlite": "SELECT strftime('%Y-%m-%d %H:%M:%f', 'now')",
    "mysql": "SELECT UTC_TIMESTAMP(6)",
    "postgresql": "SELECT clock_timestamp()",
}


async def ends_of(
    connection: SqlConnection, query: Query, window: tuple[datetime, datetime]
) -> Sequence[Any]:
    """Start and end of the window, as values for the query's column.

    In SQLite instants are texts, with a blank or a T before the time, in UTC; numbers are seconds since 1970. In
    PostgreSQL a column may keep no zone, and counts as UTC then.
    """
    what = f"look at column {query.column}"
    if connection.dialect == "postgresql":
        text, _ = query.probe("postgresql", start=window[0])
        prepared = await connection.asked(what, connection.driver.prepare(text))
        kind = prepared.get_parameters()[-1].name
        ends = [bound(one, "postgresql", zoned=kind == "timestamptz") for one in window]
        return [one.date() for one in ends] if kind == "date" else ends
    ends = [bound(one, connection.dialect, zoned=False) for one in window]
    if connection.dialect == "sqlite":
        rows = await connection.rows(what, *query.probe("sqlite"))
        kept = rows[0][0] if rows else ""
        if isinstance(kept, int | float):
            return [one.timestamp() for one in window]
        if isinstance(kept, str) and kept[10:11] == "T":
            return [one.replace(" ", "T") for one in ends]
    return ends


async def now_of(connection: SqlConnection) -> datetime:
    """The time by the database's own clock."""
    ((told,),) = await connection.rows("ask for the time", NOW[connection.dialect])
    return utc(datetime.fromisoformat(told) if isinstance(told, str) else told)
