"""One connection to a database, at the level of its driver."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar

from piko_flow.connectors.sql_errors import REASON, DatabaseFailed
from piko_flow.connectors.sql_row_types import Rows
from piko_flow.connectors.sql_url import shown
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


def failed(what: str, url: URL, error: BaseException) -> DatabaseFailed:
    """The error of ours for one of a driver, without the password."""
    original = getattr(error, "orig", None) or error
    reason = describe_error(original, REASON)
    if url.password and len(url.password) > 2:  # a shorter one would garble every word, and is no secret
        reason = reason.replace(url.password, HIDDEN)
    return DatabaseFailed(what=what, url=shown(url), reason=reason)
