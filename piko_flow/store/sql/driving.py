"""Statements handed to the driver itself, where the way through SQLAlchemy costs more than the statement.

Connections, their pool and what errors mean stay SQLAlchemy's: what a driver raises is handed to it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NoReturn, Protocol, TypeVar

from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncConnection

T = TypeVar("T")
Values = Sequence[Any]


class Driving(Protocol):
    """How one driver is asked. Raises what SQLAlchemy would: DBAPIError, the connection invalidated if it is lost."""

    async def fetch(self, connection: AsyncConnection, sql: str, values: Values) -> Sequence[Any]:
        """All rows that the statement gives; none for one that gives none."""
        ...

    async def change(self, connection: AsyncConnection, sql: str, values: Values) -> int:
        """How many rows the statement moved."""
        ...

    async def change_each(self, connection: AsyncConnection, sql: str, rows: Sequence[Values]) -> int:
        """How many rows the statement moved in all, given each of these."""
        ...

    async def identity(self, connection: AsyncConnection, sql: str, values: Values) -> int:
        """The number that the statement gives: its first value, or the id that the driver tells."""
        ...


class ThroughSqlAlchemy:
    """Any driver, by SQLAlchemy's adapter."""

    async def fetch(self, connection: AsyncConnection, sql: str, values: Values) -> Sequence[Any]:
        found = await connection.exec_driver_sql(sql, tuple(values))
        return found.fetchall() if found.returns_rows else []

    async def change(self, connection: AsyncConnection, sql: str, values: Values) -> int:
        return (await connection.exec_driver_sql(sql, tuple(values))).rowcount

    async def change_each(self, connection: AsyncConnection, sql: str, rows: Sequence[Values]) -> int:
        return (await connection.exec_driver_sql(sql, [tuple(row) for row in rows])).rowcount

    async def identity(self, connection: AsyncConnection, sql: str, values: Values) -> int:
        result = await connection.exec_driver_sql(sql, tuple(values))
        return int(result.scalar_one() if result.returns_rows else result.lastrowid)


class Aiosqlite:
    """One handover to the connection's thread a statement, where the adapter makes three."""

    async def fetch(self, connection: AsyncConnection, sql: str, values: Values) -> Sequence[Any]:
        raw = raw_connection(connection)
        return await _told(connection, raw.execute_fetchall(sql, values), _closed_sqlite)

    async def change(self, connection: AsyncConnection, sql: str, values: Values) -> int:
        raw = raw_connection(connection)
        done = await _told(connection, raw.execute(sql, values), _closed_sqlite)
        return done.rowcount  # type: ignore[no-any-return]

    async def change_each(self, connection: AsyncConnection, sql: str, rows: Sequence[Values]) -> int:
        raw = raw_connection(connection)
        done = await _told(connection, raw.executemany(sql, rows), _closed_sqlite)
        return done.rowcount  # type: ignore[no-any-return]

    async def identity(self, connection: AsyncConnection, sql: str, values: Values) -> int:
        return int((await self.fetch(connection, sql, values))[0][0])


class Asyncmy:
    """The driver's own cursor."""

    async def fetch(self, connection: AsyncConnection, sql: str, values: Values) -> Sequence[Any]:
        async def asked() -> Sequence[Any]:
            async with raw_connection(connection).cursor() as cursor:
                await cursor.execute(sql, values)
                return await cursor.fetchall()  # type: ignore[no-any-return]

        return await _told(connection, asked(), _closed_mysql)

    async def change(self, connection: AsyncConnection, sql: str, values: Values) -> int:
        return await self._changed(connection, lambda cursor: cursor.execute(sql, values))

    async def change_each(self, connection: AsyncConnection, sql: str, rows: Sequence[Values]) -> int:
        return await self._changed(connection, lambda cursor: cursor.executemany(sql, rows))

    async def identity(self, connection: AsyncConnection, sql: str, values: Values) -> int:
        return await self._changed(connection, lambda cursor: cursor.execute(sql, values), "lastrowid")

    async def _changed(
        self, connection: AsyncConnection, ask: Callable[[Any], Awaitable[Any]], told: str = "rowcount"
    ) -> int:
        async def asked() -> int:
            async with raw_connection(connection).cursor() as cursor:
                await ask(cursor)
                return int(getattr(cursor, told))

        return await _told(connection, asked(), _closed_mysql)


DRIVING: dict[str, Driving] = {
    "sqlite": Aiosqlite(),
    "mysql": Asyncmy(),
    "postgresql": ThroughSqlAlchemy(),
}


def raw_connection(connection: AsyncConnection) -> Any:
    """The driver's connection behind SQLAlchemy's."""
    assert connection.sync_connection is not None
    return connection.sync_connection.connection.driver_connection


async def _told(
    connection: AsyncConnection, asking: Awaitable[T], meant: Callable[[Exception], Exception]
) -> T:
    """What was asked for; `meant` gives what a driver would have raised had it noticed that its connection is closed."""
    try:
        return await asking
    except Exception as error:
        raised = meant(error)

        def judge(known: Connection) -> NoReturn:
            # SQLAlchemy's own judgement: the type of its error, whether the connection is lost, and if so, the pool.
            try:
                raise raised
            except Exception as same:
                known._handle_dbapi_exception(same, None, None, None, None)

        return await connection.run_sync(judge)


def _closed_sqlite(error: Exception) -> Exception:
    if isinstance(error, ValueError) and str(error).lower() in ("no active connection", "connection closed"):
        return sqlite3.OperationalError(*error.args)
    return error


def _closed_mysql(error: Exception) -> Exception:
    if isinstance(error, AttributeError | RuntimeError):
        from asyncmy.errors import InternalError

        return InternalError(f"network operation failed: {error}")
    return error
