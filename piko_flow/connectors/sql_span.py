"""The ends of a window as the column is compared with, which keeps instants in its own way."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from piko_flow.connectors.sql_connection import SqlConnection
from piko_flow.connectors.sql_errors import DatabaseFailed
from piko_flow.connectors.sql_query import Query
from piko_flow.connectors.sql_rows import bound, utc

COMPARABLE: Final = re.compile(r"\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]00:?00)?)?")
NOW: Final[Mapping[str, str]] = {
    "sqlite": "SELECT strftime('%Y-%m-%d %H:%M:%f', 'now')",
    "mysql": "SELECT UTC_TIMESTAMP(6)",
    "postgresql": "SELECT clock_timestamp()",
}


async def ends_of(
    connection: SqlConnection, query: Query, window: tuple[datetime, datetime]
) -> Sequence[Any]:
    """Start and end of the window, as values for the query's column.

    In SQLite instants are texts, with a blank or a T before the time, in UTC; numbers are seconds since 1970. Texts of
    another form, and of both forms in one window, cannot be compared: they raise DatabaseFailed. In PostgreSQL a
    column may keep no zone, and counts as UTC then.
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
        if isinstance(kept, str) and kept:
            return await _texts(connection, query, kept, ends)
    return ends


async def _texts(connection: SqlConnection, query: Query, kept: str, ends: Sequence[str]) -> Sequence[str]:
    """The ends in the form of a text that the column keeps."""
    if not COMPARABLE.fullmatch(kept):
        raise _incomparable(connection, query, f"it keeps {kept[:40]!r}")
    blank, other = ends, [one.replace(" ", "T") for one in ends]
    if kept[10:11] == "T":
        blank, other = other, blank
    mixed = await connection.rows(f"look at column {query.column}", *query.some("sqlite", span=other))
    if mixed:
        raise _incomparable(connection, query, f"it keeps both {kept!r} and {mixed[0][0]!r}")
    return blank


def _incomparable(connection: SqlConnection, query: Query, got: str) -> DatabaseFailed:
    reason = (
        f"instants are texts of one form in UTC, like '2026-01-31 23:00:00' or '2026-01-31T23:00:00'; {got}. "
        "Bring the column into one form"
    )
    return connection.cannot(f"compare column {query.column} with a window", reason)


async def now_of(connection: SqlConnection) -> datetime:
    """The time by the database's own clock."""
    ((told,),) = await connection.rows("ask for the time", NOW[connection.dialect])
    return utc(datetime.fromisoformat(told) if isinstance(told, str) else told)
