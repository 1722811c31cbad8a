"""The connections to one database: statements, transactions, what is tried again, and errors of ours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext
from datetime import datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from piko_flow.clock import Clock
from piko_flow.retry import retry_delay
from piko_flow.store.sql.columns import read_moment
from piko_flow.store.sql.dialects import SqlDialect
from piko_flow.store.sql.driving import DRIVING
from piko_flow.store.sql.failures import (
    Collided,
    NotAnswered,
    NotConnected,
    SinkFailed,
    Unclear,
    is_duplicate,
    is_lost,
    is_transient,
    told,
)
from piko_flow.store.sql.statements import Statement, moment_text, values_of
from piko_flow.tasks import uninterrupted

T = TypeVar("T")
Work = Callable[["Session"], Awaitable[T]]

ATTEMPTS = 8  # of one transaction that meets others
FIRST_WAIT, LONGEST_WAIT = 0.005, 0.5  # seconds between them
ENOUGH = 15.0  # seconds after which none is begun again
LATELY = 5.0  # seconds for which the database's time is told by the clock of this host
PATIENCE = 30.0  # seconds for one statement
LARGE = 4_000_000  # characters of one parameter; servers take 16 MiB by default


class Session:
    """A connection, inside a transaction or (for a single statement) committing by itself."""

    def __init__(self, connection: AsyncConnection, database: Database) -> None:
        self.connection, self._database = connection, database
        self.dialect = database.dialect
        self._driving = DRIVING[self.dialect.name]

    async def rows(self, asked: Statement, **values: Any) -> Sequence[Any]:
        """The rows that the statement gives."""
        return await self._answered(
            self._driving.fetch(self.connection, asked.sql, self._given(asked, values))
        )

    async def row(self, asked: Statement, **values: Any) -> Any:
        """The first row that the statement gives; None if there is none."""
        found = await self.rows(asked, **values)
        return found[0] if found else None

    async def change(self, asked: Statement, **values: Any) -> int:
        """How many rows the statement moved."""
        return await self._answered(
            self._driving.change(self.connection, asked.sql, self._given(asked, values))
        )

    async def change_rows(self, asked: Statement, rows: Sequence[Mapping[str, Any]], **values: Any) -> int:
        """How many rows the statement moved, given these rows; more than one statement only for a great many."""
        if not rows:
            return 0
        if asked.each:
            fixed = self._bound(asked, values)
            chosen = values_of(asked.names)
            given = [chosen({**fixed, **row}) for row in rows] if fixed else list(map(chosen, rows))
            return await self._answered(self._driving.change_each(self.connection, asked.sql, given))
        text_ = self.dialect.rows_text(asked.columns, rows)
        if len(text_) > LARGE and len(rows) > 1:
            half = len(rows) // 2
            first = await self.change_rows(asked, rows[:half], **values)
            return first + await self.change_rows(asked, rows[half:], **values)
        return await self.change(asked, rows=text_, **values)

    async def given_rows(
        self, asked: Statement, rows: Sequence[Mapping[str, Any]], **values: Any
    ) -> Sequence[Any]:
        """The rows that the statement gives for these."""
        return await self.rows(asked, rows=self.dialect.rows_text(asked.columns, rows), **values)

    async def take_ids(self, count: int) -> int:
        """The first of so many ids of runs, which nobody else gets."""
        asked = self.dialect.take_ids
        given = self._given(asked, {"count": count})
        return await self._answered(self._driving.identity(self.connection, asked.sql, given))

    async def core(self, asked: Any, values: Any = None, *, patient: bool = False) -> Any:
        """The result of a SQLAlchemy statement; `patient`: however long it takes."""
        if patient:
            self._database.statements += 1
            return await self.connection.execute(asked, values)
        return await self._answered(self.connection.execute(asked, values))

    async def many(self, text_: str, rows: Sequence[Sequence[Any]]) -> int:
        """How many rows the driver's `executemany` moved; however long it takes."""
        if not rows:
            return 0
        self._database.statements += 1
        return await self._driving.change_each(self.connection, text_, rows)

    def heard(self, value: Any) -> datetime:
        """Note what the database said its time is."""
        return self._database.heard(value)

    async def now(self) -> datetime:
        """The database's time."""
        if (known := self._database.host_time()) is not None:
            return known
        row = await self.row(self._database.ask_now)
        return self._database.heard(row[0])

    def _given(self, asked: Statement, values: dict[str, Any]) -> tuple[Any, ...]:
        return values_of(asked.names)(self._bound(asked, values))

    def _bound(self, asked: Statement, values: dict[str, Any]) -> dict[str, Any]:
        """The values as the driver takes them, with the host's time where that is asked for."""
        if "now" in asked.names or "later" in asked.names:
            values["now"] = now = self._database.clock.now()
            values["later"] = now + timedelta(microseconds=values.get("ttl", 0))
        bind = self.dialect.bind
        return {name: bind(value) if isinstance(value, datetime) else value for name, value in values.items()}

    async def mark(self, word: str) -> None:
        """Begin or end the transaction; not counted as a statement."""
        self._database.statements -= 1
        await self._answered(self._driving.change(self.connection, word, ()))

    async def _answered(self, asking: Awaitable[T]) -> T:
        self._database.statements += 1
        try:
            async with asyncio.timeout(PATIENCE):
                return await asking
        except TimeoutError:
            raise NotAnswered(f"no answer within {PATIENCE:g} seconds") from None


class Database:
    """One database: a pool of connections that commit each statement by itself, and transactions on them."""

    def __init__(self, engine: AsyncEngine, dialect: SqlDialect, clock: Clock) -> None:
        self._engine, self.dialect, self.clock = engine, dialect, clock
        # SQLite has one writer: those of this process wait here, in order, and not in the file's lock.
        self._writer = asyncio.Lock() if dialect.name == "sqlite" else None
        self.ask_now = dialect.statement("SELECT {now}")
        self._heard: tuple[datetime, float] | None = None  # a time of the database, and when it was told
        self._closing: set[asyncio.Task[None]] = set()  # a pool that is gone takes no connection back
        self._hollow = False  # whether one that the pool has may have to be opened again
        self.statements = 0

    @property
    def secret(self) -> str | None:
        """The password, which no message may show."""
        return self._engine.url.password

    @property
    def file(self) -> str:
        """Where a SQLite database lies; empty for a server's."""
        return (self._engine.url.database or "") if self.dialect.name == "sqlite" else ""

    def statement(self, text_: str) -> Statement:
        """The text in this database's way."""
        return self.dialect.statement(text_)

    async def close(self) -> None:
        """Close all connections."""
        if self._closing:
            await asyncio.wait(self._closing)
        await self._engine.dispose()

    def host_time(self) -> datetime | None:
        """The time, where the database has no clock of its own."""
        return self.clock.now() if self.dialect.name == "sqlite" else None

    def heard(self, value: Any) -> datetime:
        """Note what the database said its time is."""
        now = read_moment(value)
        assert now is not None
        self._heard = (now, self.clock.monotonic())
        return now

    def about_now(self) -> datetime | None:
        """What the database's time is by what was lately heard of it; None if that was nothing."""
        if self._heard is None:
            return self.host_time()
        said, at = self._heard
        passed = self.clock.monotonic() - at
        return said + timedelta(seconds=passed) if passed < LATELY else None

    async def rows(self, what: str, asked: Statement, **values: Any) -> Sequence[Any]:
        """The rows of one query."""
        return await self.once(what, lambda session: session.rows(asked, **values))

    async def row(self, what: str, asked: Statement, **values: Any) -> Any:
        """The first row of one query; None if there is none."""
        return await self.once(what, lambda session: session.row(asked, **values))

    async def change(self, what: str, asked: Statement, **values: Any) -> int:
        """How many rows one statement moved."""
        return await self.once(what, lambda session: session.change(asked, **values), writes=True)

    async def core(self, what: str, asked: Any, values: Any = None, *, writes: bool = False) -> Any:
        """The result of one SQLAlchemy statement."""
        return await self.once(what, lambda session: session.core(asked, values), writes=writes)

    async def once(self, what: str, work: Work[T], *, writes: bool = False) -> T:
        """Do work whose only statement commits by itself; again when it met another writer or a closed connection."""
        # Where rows are handed over one by one, each would be committed for itself.
        return await self._tried(what, work, whole=writes and self._writer is not None, writes=writes)

    async def transact(self, what: str, work: Work[T]) -> T:
        """Do the work in one transaction, and commit.

        Begun again, from the start of `work`, when it met another transaction or the connection was closed
        before the commit. Raises StoreUnavailable, and then it is not known whether it was committed;
        StatementRefused, and then it was not; or what `work` raises, with everything undone.
        """
        return await self._tried(what, work, whole=True, writes=True)

    async def _tried(self, what: str, work: Work[T], *, whole: bool, writes: bool) -> T:
        began, attempt = self.clock.monotonic(), 0
        while True:
            attempt += 1
            try:
                async with self._turn(writes):
                    return await (self._in_transaction(work) if whole else self._by_itself(work))
            except SinkFailed as failed:
                raise failed.error from failed.error.__cause__
            except Unclear as unclear:
                raise told(unclear.error, what, self.secret, self.file) from unclear.error
            except (SQLAlchemyError, OSError, EOFError, NotAnswered, NotConnected, Collided) as error:
                again = self._worth_another(error, attempt)
                if not again or attempt >= ATTEMPTS or self.clock.monotonic() - began > ENOUGH:
                    raise told(error, what, self.secret, self.file) from error
            await asyncio.sleep(retry_delay(attempt, first=FIRST_WAIT, limit=LONGEST_WAIT))

    async def run_sync(self, what: str, work: Callable[[Connection], T]) -> T:
        """What the function gives for a connection of SQLAlchemy's synchronous kind."""
        return await self.once(what, lambda session: session.connection.run_sync(work))

    async def alone(self, what: str, work: Callable[[Connection], None]) -> None:
        """Do the work on such a connection while no other process does such work; undone if it fails where
        the database can undo changes of tables."""
        before, after = self.dialect.alone

        async def locked(session: Session) -> None:
            for asked in map(self.statement, before):
                row = await session.row(asked)
                if row is not None and row[0] == 0:
                    raise NotAnswered("another process has been changing the tables for a while")
            if not session.connection.in_transaction():
                await session.connection.begin()  # or what the work begins and commits would be ours
            try:
                await session.connection.run_sync(work)
            finally:
                if not session.connection.invalidated:
                    for asked in map(self.statement, after):
                        await session.row(asked)

        await self.transact(what, locked)

    def _worth_another(self, error: Exception, attempt: int) -> bool:
        met = is_transient(error, self.dialect) or is_duplicate(error, self.dialect)
        return met or (is_lost(error) and attempt == 1)

    def _turn(self, writes: bool) -> Any:
        return self._writer if writes and self._writer is not None else nullcontext()

    async def _by_itself(self, work: Work[T]) -> T:
        async with self._connected() as session:
            return await work(session)

    async def _in_transaction(self, work: Work[T]) -> T:
        async with self._connected() as session:
            await session.mark(self.dialect.begin)
            try:
                result = await work(session)
            except Exception as error:
                if not isinstance(error, NotAnswered) and not session.connection.invalidated:
                    await session.mark("ROLLBACK")
                raise
            try:
                await session.mark("COMMIT")
            except Exception as error:
                raise Unclear(error) from error
            return result

    async def _connection(self) -> AsyncConnection:
        """One of the pool, or a new one: whoever is cancelled while that is made leaves it to nobody."""
        pool: Any = self._engine.pool
        if pool.checkedin() and not self._hollow:
            return await self._engine.connect()
        opening = asyncio.get_running_loop().create_task(self._opened(), name="open a connection")
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            if (
                self.dialect.name != "sqlite"
            ):  # a file is open soon, and its driver forgets one that is cancelled
                opening.cancel()
            await uninterrupted(_unused(opening))
            raise

    async def _opened(self) -> AsyncConnection:
        return await self._engine.connect()

    def _task(self, closing: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(closing, name="close a connection")
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
        return task

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Session]:
        """A connection; one in an unknown state is closed and not used again, by whatever way the block is left."""
        try:
            connection = await self._connection()
        except Exception as error:  # drivers raise what they like while they connect
            raise NotConnected(error) from error
        try:
            yield Session(connection, self)
        except BaseException as error:
            if not isinstance(error, Exception) or isinstance(error, NotAnswered):
                self._hollow = True
                await asyncio.shield(self._task(connection.invalidate()))
            raise
        finally:
            # Whoever is cancelled here leaves it to the task.
            await asyncio.shield(self._task(connection.close()))


async def _unused(opening: asyncio.Task[AsyncConnection]) -> None:
    """Close the connection, if one has been made."""
    await asyncio.wait([opening])
    if not opening.cancelled() and opening.exception() is None:
        await opening.result().close()


class SinkTransaction:
    """The transaction in which a run ends, for sinks in the same database."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.dialect = session.dialect.name

    async def execute(self, statement: Any, values: Mapping[str, Any] | None = None) -> Any:
        """Execute a SQLAlchemy statement (or SQL text with named values) inside the transaction."""
        asked = text(statement) if isinstance(statement, str) else statement
        return await self._session.core(asked, values, patient=True)

    async def execute_many(self, statement: str, rows: Sequence[Sequence[Any]]) -> int:
        """Execute SQL text, with the driver's places, once for each row; gives how many rows it moved."""
        return await self._session.many(statement, rows)


def moments(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows with their instants as text."""
    return [
        {name: moment_text(value) if isinstance(value, datetime) else value for name, value in row.items()}
        for row in rows
    ]
