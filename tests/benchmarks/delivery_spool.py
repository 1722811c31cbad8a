"""Spools beside a plain file: accepting, passing on, the wait of one item, and a database behind them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from tests.benchmarks import delivery_spool_ours as ours
from tests.benchmarks import delivery_spool_plain as plain
from tests.benchmarks.control_databases import Databases
from tests.benchmarks.delivery_spool_items import JOBS, ONE_BY_ONE, WRITERS
from tests.benchmarks.delivery_sql_rows import BATCH, ROWS, made
from tests.benchmarks.figure import LIMIT, OURS, Contender, Figure, part_of

ALONE, DIRECT = "one writer", "without a spool"
ACCEPTED = {1: 0.9, 100: 0.8, 1000: 0.6}
HOW = "time of the file / time"


def figures(databases: Databases) -> list[Figure]:
    """Accepting and passing on in lists of three sizes; one item alone; rows for MariaDB."""
    return [
        *(_accepting(size, target) for size, target in ACCEPTED.items()),
        *(_passing(size) for size in ACCEPTED),
        _idle(),
        _mariadb(databases),
    ]


def _accepting(size: int, target: float) -> Figure:
    lists = JOBS[size]
    return Figure(
        name=f"spool-accept-{size}",
        title=f"{lists:,} lists of {size:,} items of 139 bytes accepted, by {WRITERS} tasks",
        contenders=(
            Contender(OURS, partial(ours.accepted, size, WRITERS), "await live.accept(items)"),
            Contender(LIMIT, partial(plain.appended, size), "orjson.dumps, write, fdatasync a list"),
            Contender(ALONE, partial(ours.accepted, size, 1), "the same by one task"),
        ),
        score=part_of,
        unit="of limit",
        better="more",
        target=target,
        how=HOW,
    )


def _passing(size: int) -> Figure:
    lists = JOBS[size]
    return Figure(
        name=f"spool-through-{size}",
        title=f"{lists:,} lists of {size:,} items accepted, read and acknowledged, by {WRITERS} tasks",
        contenders=(
            Contender(
                OURS, partial(ours.passed, size, WRITERS), "accept; a sink that counts; the file is empty"
            ),
            Contender(LIMIT, partial(plain.passed, size), "append; read; note how far, each with fdatasync"),
            Contender(ALONE, partial(ours.passed, size, 1), "the same by one task"),
        ),
        score=part_of,
        unit="of limit",
        better="more",
        target=0.6,
        how=HOW,
    )


def _idle() -> Figure:
    return Figure(
        name="spool-idle",
        title="one item accepted by an idle spool: in the hands of its sink",
        contenders=(
            Contender(OURS, ours.waited, "from before accept to the sink's write"),
            Contender(LIMIT, plain.synced, "one append with fdatasync"),
        ),
        score=lambda seconds, _: seconds * 1000,
        unit="ms",
        better="less",
        target=20.0,
        how=f"median of {ONE_BY_ONE}",
    )


def _mariadb(databases: Databases) -> Figure:
    return Figure(
        name="spool-mariadb",
        title=f"{ROWS:,} rows for MariaDB by key, {BATCH:,} a list, that wait in a spool",
        contenders=(
            Contender(
                OURS, partial(_once, databases, ours.flushed), "Spool(SqlSink(...)), opened with a backlog"
            ),
            Contender(DIRECT, partial(_once, databases, ours.direct), "the same sink, list by list"),
        ),
        score=part_of,
        unit="of limit",
        better="more",
        target=0.95,
        how="time without / time",
        yardstick=DIRECT,
    )


def _once(databases: Databases, work: Callable[[str], Awaitable[float]]) -> float:
    async def whole(url: str) -> float:
        await made(url, 0)
        return await work(url)

    with databases.empty("mariadb") as url:
        return asyncio.run(whole(url))
