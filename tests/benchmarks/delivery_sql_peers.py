"""What the drivers do by themselves, and SQLAlchemy on top of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import perf_counter
from typing import Any

from sqlalchemy import make_url, select
from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.pool import NullPool

from tests.benchmarks.delivery_sql_rows import (
    BATCH,
    COLUMNS,
    PAGE,
    READ,
    ROWS,
    TABLE,
    Kept,
    Measured,
    check,
    rows,
)

NAMES = ", ".join(COLUMNS)
CHANGED = [name for name in COLUMNS if name != "id"]
INSERT = {
    "sqlite": f"INSERT INTO measured ({NAMES}) VALUES (?, ?, ?, ?, ?, ?)",
    "mysql": f"INSERT INTO measured ({NAMES}) VALUES (%s, %s, %s, %s, %s, %s)",
}
UPSERT = {
    "sqlite": f"{INSERT['sqlite']} ON CONFLICT (id) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in CHANGED),
    "mysql": f"{INSERT['mysql']} ON DUPLICATE KEY UPDATE "
    + ", ".join(f"{name} = VALUES({name})" for name in CHANGED),
}


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[tuple[str, Any]]:
    """The kind of database, and a connection of its driver."""
    parsed = make_url(url)
    kind = parsed.get_backend_name()
    if kind == "sqlite":
        import aiosqlite

        async with aiosqlite.connect(str(parsed.database)) as opened:
            yield kind, opened
        return
    import asyncmy

    driver: Any = await asyncmy.connect(
        host=parsed.host,
        port=parsed.port,
        user=parsed.username,
        password=parsed.password,
        db=parsed.database,
        charset="utf8mb4",
    )
    try:
        yield kind, driver
    finally:
        await driver.ensure_closed()


async def written(url: str, how: str) -> float:
    """Seconds for all rows by `executemany`."""
    given = rows(ROWS)
    began = perf_counter()
    async with connected(url) as (kind, driver):
        statement = (INSERT if how == "insert" else UPSERT)[kind]
        for first in range(0, ROWS, BATCH):
            some = given[first : first + BATCH]
            if kind == "sqlite":
                await driver.executemany(statement, some)
            else:
                async with driver.cursor() as cursor:
                    await cursor.executemany(statement, some)
            await driver.commit()
    seconds = perf_counter() - began
    await check(url, ROWS)
    return seconds


def engine_of(url: str) -> AsyncEngine:
    """A new engine."""
    return create_async_engine(url, poolclass=NullPool)


def statement_of(url: str, how: str) -> Any:
    """The statement of Core."""
    if how == "insert":
        return TABLE.insert()
    if url.startswith("sqlite"):
        upsert = sqlite.insert(TABLE)
        return upsert.on_conflict_do_update(["id"], set_={name: upsert.excluded[name] for name in CHANGED})
    other = mysql.insert(TABLE)
    return other.on_duplicate_key_update({name: other.inserted[name] for name in CHANGED})


async def written_by_core(url: str, how: str) -> float:
    """Seconds for all rows by Core, from dicts."""
    given = [dict(zip(COLUMNS, row, strict=True)) for row in rows(ROWS)]
    statement = statement_of(url, how)
    began = perf_counter()
    async with engine_of(url).connect() as connection:
        for first in range(0, ROWS, BATCH):
            await connection.execute(statement, given[first : first + BATCH])
            await connection.commit()
    seconds = perf_counter() - began
    await check(url, ROWS)
    return seconds


async def written_by_orm(url: str, share: float) -> float:
    """Seconds for this share of the rows by `add_all`, from models that are there."""
    count = int(ROWS * share)
    given = [Measured(**dict(zip(COLUMNS, row, strict=True))) for row in rows(count)]
    began = perf_counter()
    async with AsyncSession(engine_of(url)) as session:
        for first in range(0, count, BATCH):
            session.add_all(given[first : first + BATCH])
            await session.commit()
            session.expunge_all()
    seconds = perf_counter() - began
    await check(url, count)
    return seconds


async def read(url: str, shape: str) -> float:
    """Seconds for all rows by the driver's own way to read on while the rows stay in the database."""
    kept = Kept()
    add: Any = kept.add_dict if shape == "dicts" else kept.add_tuple
    began = perf_counter()
    async with connected(url) as (kind, driver):
        if kind == "sqlite":
            cursor = await driver.execute(f"SELECT {NAMES} FROM measured")
        else:
            from asyncmy.cursors import SSCursor, SSDictCursor

            cursor = driver.cursor(SSDictCursor if shape == "dicts" else SSCursor)
            await cursor.execute(f"SELECT {NAMES} FROM measured")
        while found := await cursor.fetchmany(PAGE):
            for row in found:
                add(dict(zip(COLUMNS, row, strict=True)) if kind == "sqlite" and shape == "dicts" else row)
        await cursor.close()
    seconds = perf_counter() - began
    kept.check(READ)
    return seconds


async def read_by_core(url: str, shape: str) -> float:
    """Seconds for all rows by Core's stream."""
    kept = Kept()
    add: Any = kept.add_dict if shape == "dicts" else kept.add_tuple
    began = perf_counter()
    async with engine_of(url).connect() as connection:
        result = await connection.stream(select(TABLE))
        found: Any = result.mappings() if shape == "dicts" else result
        async for some in found.partitions(PAGE):
            for row in some:
                add(row)
    seconds = perf_counter() - began
    kept.check(READ)
    return seconds
