"""Whether a database has tables of this library, found out without writing anything into it."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from sqlalchemy import Connection, inspect

from piko_flow.clock import SystemClock
from piko_flow.store.migrations import VERSION_TABLE
from piko_flow.store.sql.connecting import CONNECT_WITHIN, connect, read_url


async def has_tables(url: str) -> bool:
    """Whether the database has at least one of the tables of this library, of whatever version.

    True as well for a file that cannot be read as a database: opening it tells why. Raises RequestRefused for a URL
    of another kind, StoreUnavailable for a server that cannot be reached.
    """
    parsed = read_url(url)
    if parsed.drivername.startswith("sqlite"):
        return await asyncio.to_thread(_file_has_tables, Path(parsed.database or ""))
    database = connect(parsed, clock=SystemClock(), size=1)
    try:
        return await database.run_sync("look for the tables", _server_has_tables)
    finally:
        await database.close()


def _file_has_tables(path: Path) -> bool:
    if not path.exists():
        return False
    # Not by a connection of the store's: those set how the file is written, which stays in it.
    asked = f"{path.absolute().as_uri()}?mode=rw"
    try:
        with closing(sqlite3.connect(asked, uri=True, timeout=CONNECT_WITHIN)) as file:
            names = file.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    except sqlite3.Error:
        return True
    return _some_are_ours(name for (name,) in names)


def _server_has_tables(connection: Connection) -> bool:
    return _some_are_ours(inspect(connection).get_table_names())


def _some_are_ours(names: Iterable[str]) -> bool:
    from piko_flow.store.sql.run_tables import TABLES

    return not {VERSION_TABLE, *TABLES}.isdisjoint(names)
