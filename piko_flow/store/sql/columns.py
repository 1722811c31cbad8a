"""What the tables' columns are made of: instants in UTC with microseconds, JSON kept as it was written, texts, numbers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, DateTime, Dialect, Integer, String, Text, text
from sqlalchemy.dialects.mysql import DATETIME, LONGTEXT
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import ColumnElement
from sqlalchemy.types import TypeDecorator, TypeEngine, UserDefinedType
from sqlmodel import Field


class UTCDateTime(TypeDecorator[datetime]):
    """An aware datetime, stored as UTC with microseconds whatever the zone of the server; a naive one is refused."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name in ("mysql", "mariadb"):
            return dialect.type_descriptor(DATETIME(fsp=6))
        return dialect.type_descriptor(DateTime(timezone=dialect.name == "postgresql"))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.utcoffset() is None:
            raise ValueError(f"a time for the store must be aware, got {value!r}")
        moment = value.astimezone(UTC)
        return moment if dialect.name == "postgresql" else moment.replace(tzinfo=None)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        return read_moment(value)


class JsonText(UserDefinedType[str]):
    """JSON that is read and written as text. The servers refuse what is no JSON, SQLite takes any text."""

    cache_ok = True

    def get_col_spec(self, **options: Any) -> str:
        return "JSON"


@compiles(JsonText, "sqlite")
def _json_of_sqlite(kind: JsonText, compiler: Any, **options: Any) -> str:
    return "TEXT"


class UtcNow(ColumnElement[Any]):
    """The server's default for an instant: now, in UTC whatever the zone of the session."""

    inherit_cache = True


@compiles(UtcNow)
def _now(element: UtcNow, compiler: Any, **options: Any) -> str:
    return "(UTC_TIMESTAMP(6))"


@compiles(UtcNow, "sqlite")
def _now_of_sqlite(element: UtcNow, compiler: Any, **options: Any) -> str:
    return "(strftime('%Y-%m-%d %H:%M:%f', 'now') || '000')"


@compiles(UtcNow, "postgresql")
def _now_of_postgres(element: UtcNow, compiler: Any, **options: Any) -> str:
    return "clock_timestamp()"


def read_moment(value: Any) -> datetime | None:
    """The aware UTC datetime that a driver gave as text, naive or aware; None stays None."""
    if value is None:
        return None
    found = datetime.fromisoformat(value) if isinstance(value, str) else value
    if not isinstance(found, datetime):
        raise ValueError(f"no instant: {found!r}")  # SQLite keeps a number where a time should be
    if found.tzinfo is None:
        return found.replace(tzinfo=UTC)
    return found if found.tzinfo is UTC else found.astimezone(UTC)


def known_moment(value: Any) -> datetime:
    """The same of a column that is never NULL."""
    found = read_moment(value)
    assert found is not None
    return found


BIG = BigInteger().with_variant(Integer(), "sqlite")
"""64 bits; in SQLite such a primary key is the row's own id."""
LONG = Text().with_variant(LONGTEXT(), "mysql", "mariadb")
"""Text without a bound that matters."""


def only(condition: str) -> dict[str, Any]:
    """Of an index: which rows are in it, where the database can leave others out."""
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}


def short(length: int, default: str | None = None, *, primary: bool = False) -> Any:
    """Text of at most so many characters, never NULL."""
    return _field(String(length), None if default is None else f"'{default}'", primary=primary)


def maybe_short(length: int) -> Any:
    """Text of at most so many characters, or NULL."""
    return _field(String(length), nullable=True)


def long_text(*, nullable: bool = True) -> Any:
    """Text of any length."""
    return _field(LONG, nullable=nullable)


def json_text() -> Any:
    """JSON as it was written, never NULL."""
    return _field(JsonText())


def number(default: int | None = 0, *, nullable: bool = False) -> Any:
    """A whole number of 32 bits."""
    return _field(Integer(), None if nullable or default is None else str(default), nullable=nullable)


def big(
    default: int | None = None, *, nullable: bool = False, primary: bool = False, counts: bool = False
) -> Any:
    """A whole number of 64 bits; `counts`: the server gives one that grows."""
    shown = None if default is None else str(default)
    return _field(BIG, shown, nullable=nullable, primary=primary, autoincrement=counts)


def yes_or_no(default: bool) -> Any:
    """A truth value."""
    column: Column[Any] = Column(
        Boolean(create_constraint=False), nullable=False, server_default=text("true" if default else "false")
    )
    return Field(default=None, sa_column=column)


def instant(*, nullable: bool = True, now: bool = False, primary: bool = False) -> Any:
    """An instant; `now`: the server's time unless another is given."""
    column: Column[Any] = Column(
        UTCDateTime(),
        nullable=nullable and not now,
        server_default=UtcNow() if now else None,
        primary_key=primary,
    )
    return Field(default=None, sa_column=column)


def _field(
    kind: TypeEngine[Any],
    default: str | None = None,
    *,
    nullable: bool = False,
    primary: bool = False,
    autoincrement: bool = False,
) -> Any:
    shown = None if default is None else text(default)
    column: Column[Any] = Column(
        kind, nullable=nullable, server_default=shown, primary_key=primary, autoincrement=autoincrement
    )
    return Field(default=None, sa_column=column)
