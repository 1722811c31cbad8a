"""The rows that are written and read, and their table."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, Double, Integer, MetaData, String, Table, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool
from sqlmodel import Field, SQLModel

ROWS, READ, BATCH, PAGE = 200_000, 400_000, 1000, 5000
COLUMNS = ("id", "name", "city", "total", "items", "placed")
METADATA = MetaData()
TABLE = Table(
    "measured",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("name", String(40)),
    Column("city", String(40)),
    Column("total", Double),
    Column("items", Integer),
    Column("placed", String(40)),
)


class Measured(SQLModel, table=True):
    """A row as a model."""

    id: int = Field(primary_key=True)
    name: str
    city: str
    total: float
    items: int
    placed: str


def rows(count: int) -> list[tuple[Any, ...]]:
    """So many rows."""
    return [
        (
            number,
            f"customer {number}",
            f"city {number % 211}",
            number * 1.25,
            number % 7,
            "2026-03-02 12:00:00",
        )
        for number in range(count)
    ]


async def made(url: str, filled: int) -> None:
    """Make the table, with so many rows."""
    engine = create_async_engine(url, poolclass=NullPool)
    async with engine.begin() as connection:
        await connection.run_sync(METADATA.create_all)
    for first in range(0, filled, 20_000):
        some = [dict(zip(COLUMNS, row, strict=True)) for row in rows(min(filled, first + 20_000))[first:]]
        async with engine.begin() as connection:
            await connection.execute(TABLE.insert(), some)


async def check(url: str, count: int) -> None:
    """Raise AssertionError unless exactly these rows are there."""
    engine = create_async_engine(url, poolclass=NullPool)
    async with engine.connect() as connection:
        (found,) = await connection.execute(
            text("SELECT COUNT(*), MIN(id), MAX(id), SUM(total), COUNT(DISTINCT city) FROM measured")
        )
    assert tuple(map(float, found)) == (count, 0, count - 1, sum(range(count)) * 1.25, 211)


class Kept:
    """Counts rows and adds up their ids."""

    def __init__(self) -> None:
        self.count = self.total = 0

    def add_tuple(self, row: tuple[Any, ...]) -> None:
        """One more row."""
        self.count += 1
        self.total += row[0]

    def add_dict(self, row: dict[str, Any]) -> None:
        """One more row."""
        self.count += 1
        self.total += row["id"]

    def check(self, count: int) -> None:
        """Raise AssertionError unless every row came once."""
        assert (self.count, self.total) == (count, count * (count - 1) // 2)
