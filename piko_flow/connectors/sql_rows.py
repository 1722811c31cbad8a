"""Items as the rows that a driver takes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from operator import attrgetter, itemgetter
from typing import Any

from pydantic import BaseModel

from piko_flow.connectors.sql_errors import REASON
from piko_flow.connectors.sql_row_types import Row, Rows
from piko_flow.connectors.sql_table import SqlTable
from piko_flow.connectors.sql_values import adapted, utc
from piko_flow.errors import ItemRejected, describe_error, shorten

Process = Callable[[Any], Any]
Span = tuple[datetime, datetime]


class RowMaker:
    """Makes rows of one table from items: models, dataclasses, dicts, or tuples in the order of the columns.

    What depends on the types of columns is decided once, here.
    """

    def __init__(self, table: SqlTable, dialect: str, *, span: Span | None = None) -> None:
        self._table, self._dialect, self._span = table, dialect, span
        self._width = len(table.columns)
        self._of_mapping = _getter(itemgetter, table.attributes)
        self._of_object = _getter(attrgetter, table.attributes)
        self._processes = _processes(table, dialect)

    def rows(self, items: Sequence[Any]) -> Rows:
        """The rows for the items, in order. Raises ItemRejected for the first that is none."""
        try:
            return self._made(items)
        except Exception:
            for index, item in enumerate(items):
                try:
                    self._made([item])
                except Exception as error:
                    reason = (
                        error.reason if isinstance(error, ItemRejected) else describe_error(error, REASON)
                    )
                    raise ItemRejected(index, reason) from error
            raise

    def _made(self, items: Sequence[Any]) -> Rows:
        kinds = set(map(type, items))
        if len(kinds) == 1:
            rows = self._alike(items, kinds.pop())
        else:
            rows = [row for item in items for row in self._alike([item], type(item))]
        if self._span is not None:
            self._check_span(rows, *self._span)
        if self._processes:
            rows = self._processed(rows)
        return adapted(rows, self._dialect)

    def _alike(self, items: Sequence[Any], kind: type) -> Rows:
        """The rows for items of one type, before their values are adapted."""
        if issubclass(kind, tuple | list):
            if set(map(len, items)) != {self._width}:
                got = next(len(item) for item in items if len(item) != self._width)
                raise ItemRejected(0, f"a row has {self._width} values ({self._names}), got {got}")
            return items if kind is tuple else list(map(tuple, items))
        try:
            if issubclass(kind, Mapping):
                return list(self._of_mapping(items))
            if issubclass(kind, BaseModel) and kind.model_fields.keys() >= set(self._table.attributes):
                return list(self._of_mapping(map(attrgetter("__dict__"), items)))
            return list(self._of_object(items))
        except KeyError as error:
            raise ItemRejected(0, f"it has no {error.args[0]!r}; the columns are {self._names}") from error
        except AttributeError as error:
            raise ItemRejected(0, f"{error}; the columns are {self._names}") from error

    def _processed(self, rows: Rows) -> Rows:
        columns: list[Iterable[Any]] = list(zip(*rows, strict=True))
        for place, process in self._processes:
            columns[place] = map(process, columns[place])
        return list(zip(*columns, strict=True))

    def _check_span(self, rows: Rows, start: datetime, end: datetime) -> None:
        """Refuse a row outside the window: the next run of the window would not remove it."""
        column, place = self._table.window_column, self._table.window_place
        for row in rows:
            value = row[place]
            if not isinstance(value, datetime):
                raise ItemRejected(0, f"{column} must be a datetime, got {shorten(value)}")
            if not start <= utc(value) < end:
                raise ItemRejected(0, f"{column} {value} is outside the window of the run, [{start}, {end})")

    @property
    def _names(self) -> str:
        return ", ".join(self._table.columns)


def _getter(make: Callable[..., Any], names: tuple[str, ...]) -> Callable[[Iterable[Any]], Iterable[Row]]:
    get = make(*names)
    if len(names) > 1:
        return lambda items: map(get, items)
    return lambda items: ((get(item),) for item in items)


def _processes(table: SqlTable, dialect: str) -> list[tuple[int, Process]]:
    """What SQLAlchemy does to the values of columns whose types it knows, by place."""
    if not table.types:
        return []
    from sqlalchemy import Numeric, TypeDecorator
    from sqlalchemy.dialects import registry

    drivers = {"sqlite": "sqlite.aiosqlite", "mysql": "mysql.asyncmy", "postgresql": "postgresql.asyncpg"}
    spoken = registry.load(drivers[dialect])()
    found = []
    for place, column in enumerate(table.columns):
        kind = table.types.get(column)
        if kind is None or isinstance(kind, Numeric):  # SQLAlchemy makes floats of decimals for SQLite
            continue
        process = kind.dialect_impl(spoken).bind_processor(spoken)
        if hasattr(kind, "timezone"):
            decorated = isinstance(kind, TypeDecorator)
            if decorated or dialect != "postgresql":  # there each value becomes what its column keeps
                found.append((place, _instants(process, aware=decorated and bool(kind.timezone))))
        elif process is not None:
            found.append((place, process))
    return found


def _instants(process: Process | None, *, aware: bool) -> Process:
    """As the process, given instants in UTC; without zone, as the column keeps them, unless they are to be aware."""

    def turned(value: Any) -> Any:
        if isinstance(value, datetime):
            value = utc(value) if aware else utc(value).replace(tzinfo=None)
        return value if process is None else process(value)

    return turned
