"""A source of what is new or changed in a table, by a column that grows."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from pydantic import BaseModel
from typing_extensions import TypedDict, Unpack

from piko_flow.connectors.sql_connection import DataRefused, SqlConnection, connect
from piko_flow.connectors.sql_errors import SqlRefused
from piko_flow.connectors.sql_pages import pages, places_of
from piko_flow.connectors.sql_query import Query
from piko_flow.connectors.sql_select import SELECT
from piko_flow.connectors.sql_shapes import Shape, type_of
from piko_flow.connectors.sql_source import described
from piko_flow.connectors.sql_span import ends_of, now_of
from piko_flow.connectors.sql_staged import read_value, told_value
from piko_flow.dataflow.stages.source import Source
from piko_flow.dataflow.stages.stage_options import Seconds, positive_seconds, whole
from piko_flow.retry import Retry

if TYPE_CHECKING:
    from sqlalchemy import URL

M = TypeVar("M", bound=BaseModel)
Out = TypeVar("Out")


class SqlChangeOptions(TypedDict, total=False):
    """The options of every SqlChanges, as users give them."""

    column: str
    key: str | None
    late: Seconds | None
    columns: Sequence[str] | None
    values: Mapping[str, Any] | None
    page: int
    max_items: int
    max_age: Seconds | None
    name: str | None
    retry: Retry | None


class SqlChanges(Source[Out], Generic[Out]):
    """What is new or changed in a table since the slice before, by a `column` that grows: a time of change, or a number.

    A row is given again whenever its value grows. Rows without a value are left out. `key` is a column that is
    different in every row and tells rows with the same value apart; without it the column itself must be
    different in every row. `what`, `values` and `rows` are those of SqlSource; a row that the model refuses fails
    the run, as does one that has a value and no key.

    Transactions commit in another order than that of the values they wrote, so what becomes visible behind the
    place that was read is missed. Against that rows are left for a later slice until they are `late` old, by the
    database's clock, where the column is a time; make it as long as the longest transaction that writes there.

    A slice ends after `max_items`, after `max_age`, or when there is nothing more to read; what was written
    meanwhile is read too. The place is in `report.position` and commits with the run.

    Order: by the column, then by key. Raises DatabaseFailed when the database does not answer.
    """

    @overload
    def __init__(
        self: SqlChanges[dict[str, Any]],
        url: str,
        what: str | type,
        /,
        *,
        rows: type[dict[Any, Any]] = ...,
        **options: Unpack[SqlChangeOptions],
    ) -> None: ...
    @overload
    def __init__(
        self: SqlChanges[tuple[Any, ...]],
        url: str,
        what: str | type,
        /,
        *,
        rows: type[tuple[Any, ...]],
        **options: Unpack[SqlChangeOptions],
    ) -> None: ...
    @overload
    def __init__(
        self: SqlChanges[M],
        url: str,
        what: str | type,
        /,
        *,
        rows: type[M],
        **options: Unpack[SqlChangeOptions],
    ) -> None: ...
    def __init__(
        self,
        url: str,
        what: str | type,
        /,
        *,
        column: str = "",
        rows: Any = dict,
        key: str | None = None,
        late: Seconds | None = None,
        columns: Sequence[str] | None = None,
        values: Mapping[str, Any] | None = None,
        page: int = 5000,
        max_items: int = 100_000,
        name: str | None = None,
        **options: Any,
    ) -> None:
        target, table, key, fields = described(self, url, what, rows=rows, key=key, values=values, name=name)
        if not column or not isinstance(column, str):
            self.refuse(
                "changes need the column that grows", f"got {column!r:.80}", 'Give column="updated_at"'
            )
        query = Query(
            table,
            is_select=bool(SELECT.match(table)),
            columns=tuple(fields if columns is None else columns),
            order=(column,) if key in (None, column) else (column, key),
            column=column,
            values=values or {},
        )
        reader = ChangeReader(
            url=target,
            query=query,
            shape=Shape(rows, query.columns),
            late=positive_seconds(self, "late", late),
            page=whole(self, "page", page),
            source=(self.title, str(self.origin)),
        )
        super().__init__(reader, max_items=max_items, name=self.name, **options)

    def gives(self, incoming: Any) -> Any:
        """The type of its items."""
        return type_of(self.items.shape)


class ChangeReader:
    """Reads one slice at a time, over a connection of its own; its place is that of the last row it gave."""

    def __init__(
        self,
        *,
        url: URL,
        query: Query,
        shape: Shape,
        late: float | None,
        page: int,
        source: tuple[str, str],
    ) -> None:
        self._url, self._query, self.shape, self._late, self._page = url, query, shape, late, page
        self._source = source
        self._since: Any = None
        self._row: Sequence[Any] | None = None
        self._places: Sequence[int] = ()

    async def read(self, since: Any) -> AsyncGenerator[Any, None]:
        """Give what lies behind the place `since`, from the beginning without one, until nothing is left.

        Raises SqlRefused for a place of another reading, and for a row that has a value and no key.
        """
        self._since, self._row = since, None
        last = self._last(since)
        connection = await connect(self._url, reads=True)
        try:
            span = await self._span(connection)
            reading = pages(
                connection,
                self._query.asked,
                self._query,
                self._page,
                span=span,
                last=last,
                source=self._source,
            )
            async with aclosing(reading) as lists:
                async for names, rows in lists:
                    self._places = self._places or places_of(self._query, names)
                    items = self.shape.items(names, rows, refuse_row)
                    for self._row, item in zip(rows, items, strict=True):  # where it stands
                        yield item
        except DataRefused as refused:
            raise connection.failed(self._query.asked, refused.error) from refused.error
        finally:
            await connection.drop()

    def position(self) -> Any:
        """The place after the last row that was given, as JSON values."""
        if self._row is None:
            return self._since
        told = [told_value(self._row[place]) for place in self._places]
        return {"by": list(self._query.order), "last": told}

    def _last(self, since: Any) -> Sequence[Any]:
        if since is None:
            return ()
        by = since.get("by") if isinstance(since, dict) else None
        if by != list(self._query.order):
            self._refuse(
                f"a slice goes on where the one before it ended, by {', '.join(self._query.order)}",
                f"its place is {since!r:.200}",
                "Give the flow another name, or read with the column and key of before",
            )
        return [read_value(told) for told in since["last"]]

    async def _span(self, connection: SqlConnection) -> Sequence[Any]:
        if self._late is None:
            return (None, None)
        moment = await now_of(connection) - timedelta(seconds=self._late)
        if connection.dialect != "sqlite":
            text, values = self._query.probe(connection.dialect)
            found = await connection.rows(self._query.asked, text, values)
            if found and not isinstance(found[0][0], date):
                got = f"{self._query.column} holds {found[0][0]!r:.80}"
                self._refuse("late needs a column that is a time", got, "Leave late= out")
        return (None, (await ends_of(connection, self._query, (moment, moment)))[1])

    def _refuse(self, rule: str, got: str, advice: str) -> None:
        what, where = self._source
        raise SqlRefused(what=what, where=where, rule=rule, got=got, advice=advice)


def refuse_row(payload: object, error: Exception) -> None:
    """Fail the run for a row that its model refuses: a slice steps over nothing."""
    raise error
