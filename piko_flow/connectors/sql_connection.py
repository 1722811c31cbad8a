"""One connection to a database, and its three drivers: how each is given many rows, and which errors are about values."""

from __future__ import annotations

import asyncio
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar

from piko_flow.connectors.sql_errors import REASON, DatabaseFailed
from piko_flow.connectors.sql_rows import Rows
from piko_flow.errors import describe_error
from piko_flow.url_passwords import HIDDEN

if TYPE_CHECKING:
    from sqlalchemy import URL
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

T = TypeVar("T")
CONNECT_WITHIN: Final = 10  # seconds
PATIENCE: Final = 60.0  # seconds for one batch


class DataRefused(Exception):
    """Carries what the database said of values: at least one row of those that it was given is to blame."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(error)
        self.error = error


class SqlConnection(ABC):
    """A connection that is not in a pool; whoever opens it closes it. Statements are told as their drivers want them.

    Everything here raises DatabaseFailed for what has to do with the database, DataRefused for what has to do with
    values. After a failure in the middle of a statement, or a cancellation, the connection is closed.
    """

    dialect: ClassVar[str]
    arguments: ClassVar[Mapping[str, Any]]
    session: ClassVar[str] = ""
    """What a new connection is told first."""
    reading: ClassVar[str] = ""
    """What one is told besides that is to read."""

    def __init__(self, engine: AsyncEngine, connection: AsyncConnection, driver: Any) -> None:
        self._engine, self._connection, self.driver = engine, connection, driver
        self.closed = False

    async def write(
        self, what: str, text: str, rows: Rows, *, first: tuple[str, Sequence[Any]] | None = None
    ) -> None:
        """Execute the text once for each row, in one transaction, after the statement `first` if one is given."""
        await self.asked(what, self._write(text, rows, first))

    async def tried(self, what: str, text: str, rows: Rows) -> BaseException | None:
        """What the database says of these rows' values; None where they are fine. Nothing is changed."""
        try:
            await self.asked(what, self._try(text, rows))
        except DataRefused as refused:
            return refused.error
        return None

    async def rows(self, what: str, text: str, values: Sequence[Any] = ()) -> Sequence[Sequence[Any]]:
        """All rows that a statement gives; for few."""
        return await self.asked(what, self._rows(text, values))

    async def close(self) -> None:
        """Give the connection back; without effect when it is closed."""
        if not self.closed:
            self.closed = True
            try:
                await self._connection.close()
            finally:
                await self._engine.dispose()

    async def drop(self) -> None:
        """Close a connection of which nobody knows what it is doing, without a word to the server.

        A cancellation is raised when it is closed, so that nothing goes on behind the caller's back.
        """
        if not self.closed:
            self.closed = True
            dropping, cancelled = asyncio.ensure_future(self._drop()), None
            while not dropping.done():
                try:
                    await asyncio.wait([dropping])
                except asyncio.CancelledError as error:
                    cancelled = error
            dropping.result()
            if cancelled is not None:
                raise cancelled

    async def _drop(self) -> None:
        try:
            await self._connection.invalidate()
            await self._connection.close()
        finally:
            await self._engine.dispose()

    async def asked(self, what: str, asking: Awaitable[T]) -> T:
        """What the driver gives, within PATIENCE seconds."""
        try:
            async with asyncio.timeout(PATIENCE):
                return await asking
        except TimeoutError as error:
            await self.drop()
            raise self.failed(what, TimeoutError(f"no answer within {PATIENCE:g} seconds")) from error
        except Exception as error:
            if not self.is_data(error):
                await self.drop()
                raise self.failed(what, error) from error
            await self._undone(what)
            raise DataRefused(error) from error
        except BaseException:
            await self.drop()  # the statement may still be going on
            raise

    async def _undone(self, what: str) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                await self._roll_back()
        except Exception as error:
            await self.drop()
            raise self.failed(what, error) from error

    def failed(self, what: str, error: BaseException) -> DatabaseFailed:
        """The error that says so, without the password."""
        return failed(what, self._engine.url, error)

    def cannot(self, what: str, reason: str) -> DatabaseFailed:
        """The error that says for which reason of ours it cannot be done."""
        return DatabaseFailed(what=what, url=shown(self._engine.url), reason=reason)

    @abstractmethod
    def is_data(self, error: Exception) -> bool:
        """Whether the error is about values, so that other rows may be written."""

    @abstractmethod
    async def _write(self, text: str, rows: Rows, first: tuple[str, Sequence[Any]] | None) -> None: ...
    @abstractmethod
    async def _try(self, text: str, rows: Rows) -> None: ...
    @abstractmethod
    async def _rows(self, text: str, values: Sequence[Any]) -> Sequence[Sequence[Any]]: ...
    @abstractmethod
    async def _roll_back(self) -> None: ...


def shown(url: URL) -> str:
    """The URL as messages show it: without password, driver and options."""
    return url.set(drivername=url.get_backend_name(), query={}).render_as_string(hide_password=True)


def failed(what: str, url: URL, error: BaseException) -> DatabaseFailed:
    """The error of ours for one of a driver, without the password."""
    original = getattr(error, "orig", None) or error
    reason = describe_error(original, REASON)
    if url.password and len(url.password) > 2:  # a shorter one would garble every word, and is no secret
        reason = reason.replace(url.password, HIDDEN)
    return DatabaseFailed(what=what, url=shown(url), reason=reason)


class SqliteConnection(SqlConnection):
    """aiosqlite. A transaction begins with its first change."""

    dialect = "sqlite"
    arguments = {"timeout": CONNECT_WITHIN}  # noqa: RUF012  # nobody changes it

    def is_data(self, error: Exception) -> bool:
        return isinstance(
            error,
            sqlite3.IntegrityError
            | sqlite3.DataError
            | sqlite3.InterfaceError
            | OverflowError
            | UnicodeError,
        ) or (isinstance(error, sqlite3.ProgrammingError) and "binding" in str(error))

    async def _write(self, text: str, rows: Rows, first: tuple[str, Sequence[Any]] | None) -> None:
        if first is not None:
            await self.driver.execute(*first)
        await self.driver.executemany(text, rows)
        await self.driver.commit()

    async def _try(self, text: str, rows: Rows) -> None:
        await self.driver.executemany(text, rows)
        await self.driver.rollback()

    async def _rows(self, text: str, values: Sequence[Any]) -> Sequence[Sequence[Any]]:
        found: Sequence[Sequence[Any]] = await self.driver.execute_fetchall(text, values)
        return found

    async def _roll_back(self) -> None:
        await self.driver.rollback()


# Not null, out of range, too long, no such value, wrong value, a check that failed, no partition, bad JSON.
MYSQL_DATA: Final = frozenset(
    {1048, 1062, 1216, 1217, 1264, 1265, 1292, 1366, 1406, 1451, 1452, 3140, 3819, 4025}
)


class MySqlConnection(SqlConnection):
    """asyncmy, which sends many rows as few statements."""

    dialect = "mysql"
    arguments = {"connect_timeout": CONNECT_WITHIN}  # noqa: RUF012  # nobody changes it
    # Without the strict mode values that do not fit are bent until they do.
    session = (
        "SET time_zone = '+00:00', sql_mode = CONCAT(@@sql_mode, ',STRICT_TRANS_TABLES')"
        "/*M! , max_statement_time = 60 */"
    )
    # While a slow run makes the server wait it must not give up; a statement ends when its last row is fetched.
    reading = "SET autocommit = 1, net_write_timeout = 86400 /*M! , max_statement_time = 0 */"

    def is_data(self, error: Exception) -> bool:
        from asyncmy.errors import DataError, IntegrityError

        if isinstance(error, DataError | IntegrityError | UnicodeError | TypeError):
            return True
        code = error.args[0] if error.args else None
        # The driver itself refuses infinities and the like, with a text alone.
        return code in MYSQL_DATA or (isinstance(code, str) and type(error).__module__.startswith("asyncmy"))

    async def _write(self, text: str, rows: Rows, first: tuple[str, Sequence[Any]] | None) -> None:
        async with self.driver.cursor() as asking:
            if first is not None:
                await asking.execute(*first)
            await asking.executemany(text, rows)
        await self.driver.commit()

    async def _try(self, text: str, rows: Rows) -> None:
        async with self.driver.cursor() as asking:
            await asking.executemany(text, rows)
        await self.driver.rollback()

    async def _rows(self, text: str, values: Sequence[Any]) -> Sequence[Sequence[Any]]:
        async with self.driver.cursor() as asking:
            await asking.execute(text, tuple(values))
            found: Sequence[Sequence[Any]] = await asking.fetchall()
        await self.driver.rollback()  # so that the next one does not see the database as it was
        return found

    async def _roll_back(self) -> None:
        await self.driver.rollback()


class PostgresConnection(SqlConnection):
    """asyncpg, which sends many rows in one go, all or none of them."""

    dialect = "postgresql"
    arguments = {  # noqa: RUF012  # nobody changes it
        "timeout": CONNECT_WITHIN,
        "server_settings": {"application_name": "piko-flow", "TimeZone": "UTC", "statement_timeout": "60s"},
    }

    def is_data(self, error: Exception) -> bool:
        import asyncpg

        state = getattr(error, "sqlstate", None) or ""
        return state[:2] in ("22", "23") or isinstance(error, asyncpg.exceptions.DataError | OverflowError)

    async def _write(self, text: str, rows: Rows, first: tuple[str, Sequence[Any]] | None) -> None:
        if first is None:
            await self.driver.executemany(text, rows)
            return
        async with self.driver.transaction():
            await self.driver.execute(first[0], *first[1])
            await self.driver.executemany(text, rows)

    async def _try(self, text: str, rows: Rows) -> None:
        transaction = self.driver.transaction()
        await transaction.start()
        try:
            await self.driver.executemany(text, rows)
        finally:
            with suppress(Exception):  # the connection is looked at by whoever asked
                await transaction.rollback()

    async def _rows(self, text: str, values: Sequence[Any]) -> Sequence[Sequence[Any]]:
        return [tuple(row) for row in await self.driver.fetch(text, *values)]

    async def _roll_back(self) -> None:
        """Nothing is left open."""


CONNECTIONS: Final = {one.dialect: one for one in (SqliteConnection, MySqlConnection, PostgresConnection)}


async def connect(url: URL, *, reads: bool = False) -> SqlConnection:
    """A new connection to the database; one that `reads` sees what others have committed since its last statement.

    Raises DatabaseFailed when it cannot be reached; the file of an SQLite database has to be there. After that, and after a cancellation, none is left open.
    """
    from sqlalchemy.ext.asyncio import create_async_engine
    from sqlalchemy.pool import NullPool

    kind = CONNECTIONS[url.get_backend_name()]
    if kind is SqliteConnection:
        _check_file(url)
    engine = create_async_engine(
        url, poolclass=NullPool, connect_args=dict(kind.arguments), hide_parameters=True
    )
    begun, opened = _connections_of(engine), None
    try:
        connection = await engine.connect()
        driver = (await connection.get_raw_connection()).driver_connection
        opened = kind(engine, connection, driver)
        if kind.session:
            await opened.rows("set up a connection", kind.session)
        if reads and kind.reading:
            await opened.rows("set up a connection", kind.reading)
    except BaseException as error:
        if opened is not None:
            await opened.drop()
        else:
            for one in begun:
                await _ended(one)
            await engine.dispose()
        if isinstance(error, Exception):  # drivers raise what they like while they connect
            raise failed("connect", url, error) from error
        raise
    return opened


def _check_file(url: URL) -> None:
    """SQLite would make an empty one, in which a misspelt name shows as a table that is not there."""
    name = url.database or ""
    if not name.startswith("file:") and not Path(name).exists():
        raise failed("connect", url, FileNotFoundError(f"there is no file {Path(name).absolute()}"))


async def _ended(made: Any) -> None:
    """End a driver's connection without a word to the server."""
    if hasattr(made, "terminate"):
        made.terminate()
    else:  # in an older SQLAlchemy that of SQLite, a thread of this process
        await made.driver_connection.close()


def _connections_of(engine: AsyncEngine) -> list[Any]:
    """A list that each connection of the driver enters as soon as it is there, before anything is asked of it.

    The engine itself forgets one that fails, or is cancelled, while its first questions are asked.
    """
    from sqlalchemy import event

    begun: list[Any] = []

    def connected(dialect: Any, record: Any, arguments: Any, options: Any) -> Any:
        made = dialect.connect(*arguments, **options)
        begun.append(made)
        return made

    event.listen(engine.sync_engine, "do_connect", connected)
    return begun
