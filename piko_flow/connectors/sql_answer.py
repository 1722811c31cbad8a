"""The rows that a statement gives, a few thousand at a time, at the level of each driver."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any, Final

from piko_flow.connectors.sql_connection import SqlConnection
from piko_flow.connectors.sql_rows import Rows


class Answer(ABC):
    """What the database answers to one statement: the names of the columns, then rows. Belongs to one connection."""

    names: tuple[str, ...]

    @abstractmethod
    async def fetch(self, size: int) -> Rows:
        """The next rows, at most so many; none at the end."""

    @abstractmethod
    async def close(self) -> None:
        """Read no more."""


class DriverAnswer(Answer):
    """That of a driver in the way of Python's database interface: aiosqlite and asyncmy."""

    def __init__(self, asking: Any) -> None:
        self._asking = asking
        self.names = tuple(column[0] for column in asking.description or ())

    async def fetch(self, size: int) -> Rows:
        rows: Rows = await self._asking.fetchmany(size)
        return rows

    async def close(self) -> None:
        await self._asking.close()


class PostgresAnswer(Answer):
    """asyncpg reads in portions only inside a transaction."""

    def __init__(self, transaction: Any, names: tuple[str, ...], reading: Any) -> None:
        self._transaction, self.names, self._reading = transaction, names, reading

    async def fetch(self, size: int) -> Rows:
        return list(map(tuple, await self._reading.fetch(size)))

    async def close(self) -> None:
        await self._transaction.rollback()


async def sqlite_answer(driver: Any, text: str, values: Sequence[Any]) -> Answer:
    """The rows stay in the file until they are fetched."""
    return DriverAnswer(await driver.execute(text, values))


async def mysql_answer(driver: Any, text: str, values: Sequence[Any]) -> Answer:
    """The rows stay in the server until they are fetched."""
    from asyncmy.cursors import SSCursor

    asking = driver.cursor(SSCursor)
    await asking.execute(text, tuple(values))
    return DriverAnswer(asking)


async def postgres_answer(driver: Any, text: str, values: Sequence[Any]) -> Answer:
    """The rows stay in the server until they are fetched."""
    transaction = driver.transaction(readonly=True)
    await transaction.start()
    prepared = await driver.prepare(text)
    names = tuple(attribute.name for attribute in prepared.get_attributes())
    return PostgresAnswer(transaction, names, await prepared.cursor(*values))


ANSWERS: Final = {"sqlite": sqlite_answer, "mysql": mysql_answer, "postgresql": postgres_answer}


async def answered(
    connection: SqlConnection, what: str, text: str, values: Sequence[Any], size: int
) -> AsyncGenerator[tuple[tuple[str, ...], Rows], None]:
    """The rows of one statement in lists of at most `size`, each with the names of the columns."""
    answer = await connection.asked(what, ANSWERS[connection.dialect](connection.driver, text, values))
    while rows := await connection.asked(what, answer.fetch(size)):
        yield answer.names, rows
    await connection.asked(what, answer.close())


async def first_answered(
    connection: SqlConnection, what: str, text: str, values: Sequence[Any], size: int
) -> tuple[tuple[str, ...], Rows]:
    """All rows of a statement that gives at most `size`."""
    names: tuple[str, ...] = ()
    found: list[Sequence[Any]] = []
    async with aclosing(answered(connection, what, text, values, size)) as lists:
        async for told, rows in lists:
            names = told
            found += rows
    return names, found
