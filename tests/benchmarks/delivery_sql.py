"""Rows into and out of tables, beside what the drivers do by themselves, and SQLAlchemy."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from tests.benchmarks import delivery_sql_ours as ours
from tests.benchmarks import delivery_sql_peers as peers
from tests.benchmarks.control_databases import Databases, Kinds
from tests.benchmarks.delivery_sql_rows import BATCH, READ, ROWS, made
from tests.benchmarks.figure import OURS, Contender, Figure, part_of

DRIVER, CORE, ORM = "driver", "SQLAlchemy Core", "ORM add_all"
ORM_SHARE = 0.1
NAMES: dict[Kinds, str] = {"sqlite": "aiosqlite", "mariadb": "asyncmy"}
WRITTEN: dict[Kinds, float] = {"sqlite": 0.8, "mariadb": 0.95}
HOW = "time of the driver / time"


def figures(databases: Databases) -> list[Figure]:
    """Writing by insert and by key, staging, and reading, on SQLite and MariaDB."""
    found = []
    for kind in NAMES:
        found += [_writing(databases, kind, "insert"), _writing(databases, kind, "upsert")]
        found += [
            _staging(databases, kind),
            *(_reading(databases, kind, shape) for shape in ("tuples", "dicts")),
        ]
    return found


Work = Callable[..., Awaitable[float]]


def _once(databases: Databases, kind: Kinds, filled: int, work: Work, *arguments: Any) -> float:
    """Do the work once on a table of its own, of which so many rows are there before."""

    async def whole(url: str) -> float:
        await made(url, filled)
        return await work(url, *arguments)

    with databases.empty(kind) as url:
        return asyncio.run(whole(url))


def _writing(databases: Databases, kind: Kinds, how: str) -> Figure:
    # By key half of the rows are there already.
    run = partial(_once, databases, kind, ROWS // 2 if how == "upsert" else 0)
    contenders = [
        Contender(
            OURS, partial(run, ours.written, how), f"Source(tuples) >> Sink(SqlSink(...), batch={BATCH})"
        ),
        Contender(DRIVER, partial(run, peers.written, how), f"{NAMES[kind]}: executemany, commit"),
        Contender(CORE, partial(run, peers.written_by_core, how), "connection.execute(insert(table), dicts)"),
    ]
    if how == "insert":
        orm = partial(run, peers.written_by_orm, ORM_SHARE)
        contenders.append(Contender(ORM, orm, "session.add_all(models), commit", ORM_SHARE))
    return Figure(
        name=f"sql-{how}-{kind}",
        title=f"{ROWS:,} rows of six columns by {how}, {BATCH:,} a transaction, {kind}",
        contenders=tuple(contenders),
        score=part_of,
        unit="of limit",
        better="more",
        target=WRITTEN[kind],
        how=HOW,
        yardstick=DRIVER,
        multiples=((CORE, 1.4), (ORM, 7.0)) if kind == "mariadb" and how == "insert" else (),
    )


def _staging(databases: Databases, kind: Kinds) -> Figure:
    run = partial(_once, databases, kind, 0)
    return Figure(
        name=f"sql-staged-{kind}",
        title=f"{ROWS:,} rows into the ledger's database, staged and moved at the end, {kind}",
        contenders=(
            Contender(OURS, partial(run, ours.staged), "a run of a flow, executed and ended"),
            Contender(DRIVER, partial(run, peers.written, "insert"), f"{NAMES[kind]}: executemany, commit"),
        ),
        score=part_of,
        unit="of limit",
        better="more",
        target=0.4 * WRITTEN[kind],
        how=HOW,
        yardstick=DRIVER,
    )


def _reading(databases: Databases, kind: Kinds, shape: str) -> Figure:
    run = partial(_once, databases, kind, READ)
    return Figure(
        name=f"sql-read-{shape}-{kind}",
        title=f"{READ:,} rows of six columns read as {shape}, each handed to a function, {kind}",
        contenders=(
            Contender(OURS, partial(run, ours.read, shape, None), "SqlSource >> Sink(function)"),
            Contender(
                f"{OURS}, by key",
                partial(run, ours.read, shape, "id"),
                "SqlSource(key='id') >> Sink(function)",
            ),
            Contender(DRIVER, partial(run, peers.read, shape), f"{NAMES[kind]}: fetchmany(5000), a loop"),
            Contender(
                CORE, partial(run, peers.read_by_core, shape), "connection.stream(select(table)), a loop"
            ),
        ),
        score=part_of,
        unit="of limit",
        better="more",
        target=0.7,
        how=HOW,
        yardstick=DRIVER,
    )
