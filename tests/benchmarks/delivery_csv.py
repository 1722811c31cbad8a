"""A million rows of a CSV file, validated and written into a table of SQLite."""

from __future__ import annotations

import asyncio
import csv
from collections.abc import Awaitable, Callable
from functools import partial
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import Any

import aiosqlite
from pydantic import BaseModel, TypeAdapter
from sqlalchemy import make_url

from piko_flow import Parse, Sink, run
from piko_flow.connectors.files import CsvSource
from piko_flow.connectors.sql import SqlSink
from tests.benchmarks.control_databases import Databases
from tests.benchmarks.delivery_sql_peers import INSERT
from tests.benchmarks.delivery_sql_rows import BATCH, COLUMNS, check, made, rows
from tests.benchmarks.figure import OURS, Contender, Figure, part_of

COUNT, SHARE = 1_000_000, 0.2
TUPLES, MODELS = "tuple loop", "DictReader"


class Reading(BaseModel):
    """A row of the file."""

    id: int
    name: str
    city: str
    total: float
    items: int
    placed: str


READINGS = TypeAdapter(list[tuple[int, str, str, float, int, str]])


def figures(databases: Databases) -> list[Figure]:
    """Beside a loop that validates tuples a thousand at a time, and one that validates a model a row."""
    return [
        Figure(
            name="csv-to-sqlite",
            title=f"{COUNT:,} rows of six columns from CSV through Parse(Model) into SQLite",
            contenders=(
                Contender(
                    OURS,
                    partial(once, databases, ours, 1.0),
                    "CsvSource >> Parse(Model) >> Sink(SqlSink(...), batch=1000)",
                ),
                Contender(
                    TUPLES,
                    partial(once, databases, by_tuples, 1.0),
                    "csv.reader, TypeAdapter(list[tuple]), executemany",
                ),
                Contender(
                    MODELS,
                    partial(once, databases, by_models, SHARE),
                    "csv.DictReader, model_validate, executemany",
                    SHARE,
                ),
            ),
            score=part_of,
            unit="of limit",
            better="more",
            target=0.7,
            how="time of the tuple loop / time",
            yardstick=TUPLES,
            multiples=((MODELS, 1.4),),
        )
    ]


def once(databases: Databases, work: Callable[[Path, str], Awaitable[None]], share: float) -> float:
    """Seconds for this share of the rows, from a file that is there into a table that is empty."""
    count = int(COUNT * share)

    async def whole(url: str) -> float:
        await made(url, 0)
        path = Path(str(make_url(url).database)).with_name("rows.csv")
        write(path, count)
        began = perf_counter()
        await work(path, url)
        seconds = perf_counter() - began
        await check(url, count)
        return seconds

    with databases.empty("sqlite") as url:
        return asyncio.run(whole(url))


def write(path: Path, count: int) -> None:
    """Write the file."""
    with path.open("w", newline="", encoding="utf-8") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(COLUMNS)
        lines.writerows(rows(count))


async def ours(path: Path, url: str) -> None:
    """The pipeline."""
    await run(
        CsvSource(path) >> Parse(Reading) >> Sink(SqlSink(Reading, table="measured", url=url), batch=BATCH)
    )


async def by_tuples(path: Path, url: str) -> None:
    """The prototype's loop."""
    async with aiosqlite.connect(str(make_url(url).database)) as driver:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.reader(file)
            next(reader)
            while some := list(islice(reader, BATCH)):
                await driver.executemany(INSERT["sqlite"], READINGS.validate_python(some))
                await driver.commit()


async def by_models(path: Path, url: str) -> None:
    """A loop as people write it."""
    async with aiosqlite.connect(str(make_url(url).database)) as driver:
        with path.open(newline="", encoding="utf-8") as file:
            held: list[tuple[Any, ...]] = []
            for row in csv.DictReader(file):
                held.append(tuple(Reading.model_validate(row).__dict__.values()))
                if len(held) == BATCH:
                    await driver.executemany(INSERT["sqlite"], held)
                    await driver.commit()
                    held = []
            await driver.executemany(INSERT["sqlite"], held)
            await driver.commit()
