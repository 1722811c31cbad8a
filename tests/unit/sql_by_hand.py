"""Tables of orders in each kind of database, looked at past the connectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from pydantic import BaseModel
from sqlalchemy import (
    Column,
    Date,
    DateTime,
    Double,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    String,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.mysql import DATETIME
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
MOMENT = DateTime(timezone=True).with_variant(DATETIME(fsp=6), "mysql", "mariadb")
TABLES = MetaData()
ORDERS = Table(
    "orders",
    TABLES,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("customer", String(40), nullable=False),
    Column("amount", Numeric(12, 2)),
    Column("placed_at", MOMENT),
)
KINDS = Table(
    "kinds",
    TABLES,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("word", Text),
    Column("share", Double),
    Column("amount", Numeric(20, 6).with_variant(Text, "sqlite")),
    Column("seen_at", MOMENT),
    Column("local_at", DateTime(timezone=False).with_variant(DATETIME(fsp=6), "mysql", "mariadb")),
    Column("born", Date),
    Column("raw", LargeBinary),
    Column("data", Text),
)
PLACES = Table(  # without a unique index
    "places", TABLES, Column("id", Integer), Column("name", String(40))
)


class Order(BaseModel):
    """What a flow has in hand."""

    id: int
    customer: str
    amount: Decimal
    placed_at: datetime


@dataclass(frozen=True)
class Tables:
    """The tables in the database at the URL."""

    url: str

    async def make(self) -> Tables:
        """Make them, empty."""
        engine = create_async_engine(self.url, poolclass=NullPool)
        async with engine.begin() as connection:
            await connection.run_sync(TABLES.create_all)
        return self

    async def rows(self, statement: str, *given: Any) -> list[tuple[Any, ...]]:
        """The rows that a statement gives; or execute it for each dict of values that is given."""
        engine = create_async_engine(self.url, poolclass=NullPool)
        values = [{name: self._bound(value) for name, value in each.items()} for each in given]
        async with engine.begin() as connection:
            result = await connection.execute(text(statement), values or None)
            return [tuple(row) for row in result] if result.returns_rows else []

    def _bound(self, value: Any) -> Any:
        """The value as the driver takes it: SQLite's takes no datetimes."""
        told = isinstance(value, datetime) and self.url.startswith("sqlite")
        return value.strftime("%Y-%m-%d %H:%M:%S.%f") if told else value

    async def orders(self, columns: str = "id, customer") -> list[tuple[Any, ...]]:
        """Columns of the orders that are there, by id."""
        return await self.rows(f"SELECT {columns} FROM orders ORDER BY id")

    async def fill(self, *orders: Order) -> None:
        """Insert orders."""
        engine = create_async_engine(self.url, poolclass=NullPool)
        async with engine.begin() as connection:
            await connection.execute(ORDERS.insert(), [order.model_dump() for order in orders])


def order(number: int, customer: str = "ann", **fields: Any) -> Order:
    """The order of this number, placed so many minutes after noon."""
    values = {"amount": Decimal(number) / 4, "placed_at": NOON + number * MINUTE, **fields}
    return Order(id=number, customer=customer, **values)


def orders(*numbers: int, customer: str = "ann") -> list[Order]:
    """The orders of these numbers."""
    return [order(number, customer) for number in numbers]


def ids(rows: Sequence[Any]) -> list[int]:
    """The first values of rows."""
    return [row[0] for row in rows]
