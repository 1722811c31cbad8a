"""Tables made, brought up to date, and compared with what this version of the library needs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect

from piko_flow.clock import SystemClock
from piko_flow.store.migrations import HEAD, VERSION_TABLE
from piko_flow.store.migrations.looking import has_tables
from piko_flow.store.sql.connecting import connect, read_url
from piko_flow.store.sql.database import Database
from piko_flow.store.sql.failures import StatementRefused

if TYPE_CHECKING:
    from alembic.config import Config

VERSION = f"SELECT version_num FROM {VERSION_TABLE}"
FOLDER = Path(__file__).parent


async def initialise(url: str) -> str:
    """Make the tables in a database that has none; the same as `upgrade`. Gives the version that is there then."""
    return await upgrade(url)


async def upgrade(url: str) -> str:
    """Bring the tables up to date; gives the version that is there then. Any number may do so at the same time."""
    database = connect(read_url(url), clock=SystemClock(), size=1)
    try:
        await bring_up_to_date(database)
        return await version(database) or ""
    finally:
        await database.close()


async def check(url: str) -> list[str]:
    """What differs between the tables and what this version needs, in words; empty when nothing does."""
    without = [f"the database has no tables of this library; make them with the version {HEAD}"]
    if not await has_tables(url):
        return without
    database = connect(read_url(url), clock=SystemClock(), size=1)
    try:
        found = await version(database)
        if found is None:
            return without
        old = [] if found >= HEAD else [f"the tables are of version {found}, this library needs {HEAD}"]
        return old + await database.run_sync("compare the tables", _differences)
    finally:
        await database.close()


async def bring_up_to_date(database: Database) -> None:
    """Apply what is missing; one cheap query when nothing is."""
    found = await version(database)
    if found is None or found < HEAD:
        await database.alone("make or change the tables", _upgrade)


async def version(database: Database) -> str | None:
    """The version of the tables; None where there are none."""
    try:
        row = await database.row("read the version of the tables", database.dialect.statement(VERSION))
    except StatementRefused:
        return None
    return None if row is None else str(row[0])


def _upgrade(connection: Connection) -> None:
    # Half a second of imports, needed only when there is something to do.
    from alembic import command

    command.upgrade(_config(connection), "head")


def _config(connection: Connection) -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    config.attributes["connection"] = connection
    return config


def _differences(connection: Connection) -> list[str]:
    from piko_flow.store.sql.run_tables import TABLES

    there, found = inspect(connection), list[str]()
    names = set(there.get_table_names())
    for name, table in sorted(TABLES.items()):
        if name not in names:
            found.append(f"table {name} is missing")
            continue
        columns = {column["name"]: column for column in there.get_columns(name)}
        indexes = {index["name"] for index in there.get_indexes(name)}
        for column in table.columns:
            if column.name not in columns:
                found.append(f"column {name}.{column.name} is missing")
            elif not column.primary_key and columns[column.name]["nullable"] != column.nullable:
                found.append(f"column {name}.{column.name} may {'not ' * bool(column.nullable)}be NULL")
        missing = sorted(str(index.name) for index in table.indexes if index.name not in indexes)
        found += [f"index {index} of table {name} is missing" for index in missing]
    return found
