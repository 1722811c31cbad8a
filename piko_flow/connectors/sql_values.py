"""Python's values as the drivers of databases take them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from itertools import chain
from numbers import Integral, Real
from pathlib import PurePath
from types import NoneType
from typing import Any, Final
from uuid import UUID

from pydantic import AnyUrl, BaseModel, SecretBytes, SecretStr, TypeAdapter

Convert = Callable[[Any], Any]

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
def converter(kind: type, dialect: str) -> Convert | None:
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


TEXTUAL: Final[tuple[tuple[type, Convert | None], ...]] = (
    (datetime, instant_text),
    (date, date.isoformat),
    (time, _time_text),
    (Decimal, _decimal_text),
    (UUID, str),
)
NATIVE: Final[tuple[tuple[type, Convert | None], ...]] = (
    (datetime, utc),
    (date, None),
    (time, None),
    (Decimal, None),
    (UUID, str),  # which the driver takes for columns of both kinds
)
BOTH: Final[tuple[tuple[type, Convert | None], ...]] = (
    (bytearray, bytes),
    (memoryview, bytes),
    (str, str.__str__),
    (PurePath, str),
    (AnyUrl, str),
)
