"""Items as the rows that a driver takes: their values in the order of the columns, each in a form that loses nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from itertools import chain
from numbers import Integral, Real
from operator import attrgetter, itemgetter
from pathlib import PurePath
from types import NoneType
from typing import Any, Final
from uuid import UUID

from pydantic import AnyUrl, BaseModel, SecretBytes, SecretStr, TypeAdapter

from piko_flow.connectors.sql_errors import REASON
from piko_flow.connectors.sql_table import SqlTable
from piko_flow.errors import ItemRejected, describe_error, shorten

Row = Sequence[Any]
Rows = Sequence[Row]
Span = tuple[datetime, datetime]
Process = Callable[[Any], Any]


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


@dataclass(frozen=True)
class TableFacts:
    """`zoneless`: the places of columns that keep a datetime without zone, where drivers insist on that."""

    zoneless: tuple[int, ...] = ()

    def fitted(self, rows: Sequence[Sequence[Any]]) -> Sequence[Sequence[Any]]:
        """The rows with datetimes as their columns want them."""
        if not self.zoneless:
            return rows
        columns = list(zip(*rows, strict=True))
        for place in self.zoneless:
            columns[place] = tuple(
                value.replace(tzinfo=None) if isinstance(value, datetime) else value
                for value in columns[place]
            )
        return list(zip(*columns, strict=True))


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


ANYTHING: Final = TypeAdapter[Any](Any)
PLAIN: Final = frozenset({int, str, float, NoneType, bool, bytes})
"""What every driver takes as it is."""


def adapted(rows: Sequence[Sequence[Any]], dialect: str) -> Sequence[Sequence[Any]]:
    """The rows with every value in a form that the driver takes without loss; the same list where they are so already.

    Instants become UTC, and those without a zone count as UTC: SQLite and MariaDB keep no zone, so anything else
    would be another instant when it is read. Decimals and UUIDs stay exact, members of an enum become their value,
    dicts, lists and models JSON. Raises TypeError for a value that has no such form.
    """
    if PLAIN.issuperset(map(type, chain.from_iterable(rows))):
        return rows
    columns = [adapted_column(column, dialect) for column in zip(*rows, strict=True)]
    return list(zip(*columns, strict=True))


def adapted_column(column: Sequence[Any], dialect: str) -> Iterable[Any]:
    """The values of one column, each in the form for its type."""
    kinds = set(map(type, column))
    if kinds <= PLAIN:
        return column
    known = {kind: converter(kind, dialect) for kind in kinds}
    if len(kinds) == 1:
        only = known.popitem()[1]
        return column if only is None else map(only, column)
    return [value if (convert := known[type(value)]) is None else convert(value) for value in column]


@lru_cache(maxsize=1024)
def converter(kind: type, dialect: str) -> Process | None:
    """What turns values of the type into those of the dialect's driver; None where they are so already.

    Raises TypeError for a type without such a form.
    """
    if kind in PLAIN:
        return None
    native = dialect == "postgresql"
    for known, convert in (*(NATIVE if native else TEXTUAL), *BOTH):
        if issubclass(kind, known):
            return convert
    if issubclass(kind, timedelta) and dialect != "sqlite":
        return None
    if issubclass(kind, SecretStr | SecretBytes):
        raise TypeError(f"a {kind.__name__} is not written in clear; give its get_secret_value()")
    if issubclass(kind, Enum):
        return lambda member: adapted_one(member.value, dialect)
    if issubclass(kind, Mapping | list | tuple | set | frozenset | BaseModel) or dataclasses.is_dataclass(
        kind
    ):
        return json_text
    if issubclass(kind, Integral):
        return int
    if issubclass(kind, Real):
        return float
    raise TypeError(
        f"a value of type {kind.__name__} has no column to go to; turn it into text, numbers or JSON"
    )


def adapted_one(value: Any, dialect: str) -> Any:
    """One value in the form that the driver takes; see `adapted`."""
    kind: type = type(value)
    convert = converter(kind, dialect)
    return value if convert is None else convert(value)


def json_text(value: Any) -> str:
    """The value as JSON, with models, dates, decimals and UUIDs inside as Pydantic writes them."""
    return ANYTHING.dump_json(value).decode()


def utc(moment: datetime) -> datetime:
    """The instant in UTC; one without a zone counts as UTC."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def instant_text(moment: datetime) -> str:
    """The instant in UTC as `2026-01-31 23:00:00.000000`, which SQLAlchemy and both databases read; in order of time."""
    if moment.tzinfo is not None and moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return moment.isoformat(" ", "microseconds")[:26]


def bound(moment: datetime, dialect: str, *, zoned: bool) -> Any:
    """The instant as it is compared with a column. In SQLite, where texts are compared, a second that is whole has
    no fraction: so it lies at or before the same instant however many digits the column has."""
    if dialect == "postgresql":
        return utc(moment) if zoned else utc(moment).replace(tzinfo=None)
    text = instant_text(moment)
    return text.rstrip("0").rstrip(".") if dialect == "sqlite" and text.endswith("0") else text


def _time_text(value: time) -> str:
    if value.tzinfo is not None:
        raise TypeError(
            "a time of day with a zone has no column to go to; give a datetime, or the time without it"
        )
    return value.isoformat("microseconds")


def _decimal_text(value: Decimal) -> str:
    if not value.is_finite():
        raise TypeError(f"the decimal {value} is no number that a column takes")
    return format(value, "f")


TEXTUAL: Final[tuple[tuple[type, Process | None], ...]] = (
    (datetime, instant_text),
    (date, date.isoformat),
    (time, _time_text),
    (Decimal, _decimal_text),
    (UUID, str),
)
NATIVE: Final[tuple[tuple[type, Process | None], ...]] = (
    (datetime, utc),
    (date, None),
    (time, None),
    (Decimal, None),
    (UUID, str),  # which the driver takes for columns of both kinds
)
BOTH: Final[tuple[tuple[type, Process | None], ...]] = (
    (bytearray, bytes),
    (memoryview, bytes),
    (str, str.__str__),
    (PurePath, str),
    (AnyUrl, str),
)
