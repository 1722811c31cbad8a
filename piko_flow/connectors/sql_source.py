"""A source that reads rows of a database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from pydantic import BaseModel
from typing_extensions import TypedDict, Unpack

from piko_flow.connectors.sql_query import KeyRange, Query
from piko_flow.connectors.sql_reader import SqlReader
from piko_flow.connectors.sql_select import SELECT, checked_select
from piko_flow.connectors.sql_shapes import Shape, type_of
from piko_flow.connectors.sql_url import read_url
from piko_flow.dataflow.running.blocking import blocking
from piko_flow.dataflow.stages.source import Source
from piko_flow.dataflow.stages.stage import Stage
from piko_flow.dataflow.stages.stage_options import OnError, whole
from piko_flow.retry import Retry

if TYPE_CHECKING:
    from sqlalchemy import URL

M = TypeVar("M", bound=BaseModel)
Out = TypeVar("Out")


class SqlReadOptions(TypedDict, total=False):
    """The options of every SqlSource, as users give them."""

    columns: Sequence[str] | None
    key: str | None
    window: tuple[datetime, datetime] | None
    column: str | None
    values: Mapping[str, Any] | None
    page: int
    splits: int | None
    name: str | None
    on_error: OnError
    retry: Retry | None


class SqlSource(Source[Out], Generic[Out]):
    """The rows of a table, or of a SELECT, in constant memory.

    `what` is the name of a table, a SQLModel class, or a SELECT with the values for its `:names` in `values`. `rows`
    is dict (the default), tuple, or a model's class: a row that it refuses is settled under `on_error`.

    With a `key`, a column that is different in every row, each `page` of rows is a statement of its own, so neither
    connection nor snapshot is held; a SQLModel class brings its key along. Without one a single statement is read
    to its end. With `window` (that of the run) only rows whose `column` lies in it are read. With `splits` the keys
    that are there when the run is planned are cut into so many ranges, each a unit; the key must be a whole number.
    A row that has none fails the run with SqlRefused.

    Order: by key; with a window by its column, then by key; without a key as the database gives them. Raises
    DatabaseFailed when the database does not answer.
    """

    @overload
    def __init__(
        self: SqlSource[dict[str, Any]],
        url: str,
        what: str | type,
        /,
        *,
        rows: type[dict[Any, Any]] = ...,
        **options: Unpack[SqlReadOptions],
    ) -> None: ...
    @overload
    def __init__(
        self: SqlSource[tuple[Any, ...]],
        url: str,
        what: str | type,
        /,
        *,
        rows: type[tuple[Any, ...]],
        **options: Unpack[SqlReadOptions],
    ) -> None: ...
    @overload
    def __init__(
        self: SqlSource[M],
        url: str,
        what: str | type,
        /,
        *,
        rows: type[M],
        **options: Unpack[SqlReadOptions],
    ) -> None: ...
    def __init__(
        self,
        url: str,
        what: str | type,
        /,
        *,
        rows: Any = dict,
        columns: Sequence[str] | None = None,
        key: str | None = None,
        window: tuple[datetime, datetime] | None = None,
        column: str | None = None,
        values: Mapping[str, Any] | None = None,
        page: int = 5000,
        splits: int | None = None,
        name: str | None = None,
        **options: Any,
    ) -> None:
        target, table, key, fields = described(self, url, what, rows=rows, key=key, values=values, name=name)
        self._check_window(window, column)
        if splits is not None and key is None:
            self.refuse("splits are ranges of a key that is a whole number", "got no key", 'Give key="id"')
        query = Query(
            table,
            is_select=bool(SELECT.match(table)),
            columns=tuple(fields if columns is None else columns),
            order=tuple(one for one in (column, key) if one is not None) if key else (),
            key=key,
            column=column,
            values=values or {},
        )
        reader = SqlReader(
            url=target,
            query=query,
            shape=Shape(rows, query.columns),
            window=None if window is None else (window[0], window[1]),
            page=whole(self, "page", page),
            source=(self.title, str(self.origin)),
        )
        planned = None if splits is None else KeyRanges(reader, whole(self, "splits", splits), self)
        super().__init__(reader, splits=planned, name=self.name, **options)

    def gives(self, incoming: Any) -> Any:
        """The type of its items."""
        return type_of(self.items.shape)

    def _check_window(self, window: object, column: object) -> None:
        if window is not None and column is None:
            self.refuse("a window needs the column that decides", "got no column", 'Give column="updated_at"')
        if column is not None and window is None:
            self.refuse(
                "column belongs to a window", f"got column={column!r} alone", "Give window=run.window"
            )
        if window is not None and not (
            isinstance(window, tuple)
            and len(window) == 2
            and all(isinstance(one, datetime) for one in window)
        ):
            self.refuse("window is a pair of datetimes, or that of the run", f"got {window!r:.80}")


@dataclass(frozen=True)
class KeyRanges:
    """Cuts the keys that are there into ranges, when the run is planned; the outer ones are open."""

    reader: SqlReader
    count: int
    source: Stage

    def __call__(self) -> list[KeyRange]:
        """The ranges, lowest first; one that is open on both sides where there are no rows."""
        low, high = blocking(self.reader.ends)
        if low is None:
            return [KeyRange()]
        if not isinstance(low, int) or not isinstance(high, int):
            self.source.refuse("splits need a key that is a whole number", f"it holds {low!r:.80}")
        step = max(-(-(high - low + 1) // self.count), 1)
        cuts = list(range(low + step, high + 1, step))
        return [KeyRange(*ends) for ends in zip([None, *cuts], [*cuts, None], strict=True)]


def described(
    stage: Stage,
    url: object,
    what: object,
    *,
    rows: object,
    key: str | None,
    values: Mapping[str, Any] | None,
    name: str | None,
) -> tuple[URL, str, str | None, tuple[str, ...]]:
    """Name the source. Gives its database, its table or SELECT, the key and the columns if they are known.

    Refuses what cannot be read, what rows cannot be, and values that the SELECT does not name.
    """
    table, known_key, columns = _named(what)
    stage._describe(name=name, fallback="select" if SELECT.match(table) else table)
    if not isinstance(rows, type) or not issubclass(rows, dict | tuple | BaseModel):
        stage.refuse("rows is dict, tuple or the class of a model", f"got {rows!r:.80}")
    if not table:
        stage.refuse("it reads a table, a SQLModel class or a SELECT", f"got {what!r:.80}")
    target = read_url(url, what=stage.title, where=str(stage.origin), refuse=stage.refuse)
    table = checked_select(table, values or {}, target.get_backend_name(), stage.refuse)
    return target, table, key or known_key, columns


def _named(what: object) -> tuple[str, str | None, tuple[str, ...]]:
    if isinstance(what, str):
        return what.strip(), None, ()
    if getattr(what, "__table__", None) is None:
        return "", None, ()
    from sqlalchemy import inspect

    mapper: Any = inspect(what)
    keys = [column.name for column in mapper.primary_key]
    schema = f"{mapper.local_table.schema}." if mapper.local_table.schema else ""
    columns = tuple(one.columns[0].name for one in mapper.column_attrs)
    return f"{schema}{mapper.local_table.name}", keys[0] if len(keys) == 1 else None, columns
