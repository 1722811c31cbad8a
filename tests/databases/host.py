"""A database server as a test sees it: a place where empty databases can be had."""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Literal

from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

Kind = Literal["mariadb", "postgresql"]

CONNECTIONS = {
    "mariadb": "SELECT CONCAT('KILL ', id) FROM information_schema.processlist WHERE db = :name",
    "postgresql": "SELECT format('SELECT pg_terminate_backend(%s)', pid) FROM pg_stat_activity WHERE datname = :name",
}


class Host:
    """A server that is reached by a URL, whoever runs it. The URL's account may create and drop databases."""

    def __init__(self, kind: Kind, url: str) -> None:
        self.kind = kind
        self._url = make_url(url)

    def url(self, database: str | None = None) -> str:
        """The URL of a database on this server, password included; without a name, of the account's own."""
        url = self._url if database is None else self._url.set(database=database)
        return url.render_as_string(hide_password=False)

    def create_database(self) -> str:
        """Make an empty database under a random name and give its URL."""
        name = f"piko_test_{secrets.token_hex(6)}"
        self.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def drop_database(self, url: str) -> None:
        """Drop a database that `create_database` made, closing whatever is still connected to it."""
        name = make_url(url).database
        for statement in self.execute(CONNECTIONS[self.kind], name=name):
            try:
                self.execute(str(statement))
            except DBAPIError:  # that connection has ended by itself meanwhile
                continue
        self.execute(f"DROP DATABASE IF EXISTS {name}")

    def execute(self, statement: str, **parameters: object) -> list[object]:
        """Run one statement, committed at once, and give the first column of its rows.

        Works in a thread of its own, so that tests with and without an event loop may call it.
        """

        async def once() -> list[object]:
            engine = create_async_engine(self.url(), isolation_level="AUTOCOMMIT", poolclass=NullPool)
            async with engine.connect() as connection:
                result = await connection.execute(text(statement), parameters)
                return [row[0] for row in result] if result.returns_rows else []

        return in_a_thread(once)


def in_a_thread(work: Callable[[], Coroutine[Any, Any, list[object]]]) -> list[object]:
    """What the coroutine returns, run in an event loop of another thread; raises what it raises."""
    ended: list[list[object] | BaseException] = []

    def whole() -> None:
        try:
            ended.append(asyncio.run(work()))
        except BaseException as error:
            ended.append(error)

    thread = threading.Thread(target=whole, name="database statement")
    thread.start()
    thread.join()
    if isinstance(ended[0], BaseException):
        raise ended[0]
    return ended[0]
