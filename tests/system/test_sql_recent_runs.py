"""The newest runs of many flows cost as many reads as are given, however many runs are kept."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from piko_flow.store.batch import Batch
from piko_flow.store.opening import open_store
from piko_flow.store.records import NewRun
from piko_flow.store.sql.database import Session
from piko_flow.store.sql.statements import Statement
from piko_flow.store.sql.store import SqlStore

FLOWS = [f"flow {number}" for number in range(10)]
NOW = datetime(2026, 3, 2, 12, 30, tzinfo=UTC)
KEPT, EACH = 300, 5


async def filled(url: str) -> AsyncIterator[SqlStore]:
    """A store in which each flow has many runs."""
    store = await open_store(url)
    assert isinstance(store, SqlStore)
    for number in range(KEPT):
        await store.write(Batch("one", queue=[NewRun(flow, NOW, f"run {number}") for flow in FLOWS]))
    yield store
    await store.close()


@pytest.fixture
async def sqlite(sqlite_url: str) -> AsyncIterator[SqlStore]:
    async for store in filled(sqlite_url):
        yield store


@pytest.fixture
async def mariadb_store(mariadb_url: str) -> AsyncIterator[SqlStore]:
    async for store in filled(mariadb_url):
        yield store


def asked(store: SqlStore, name: str) -> Statement:
    """The statement that the store has under this name."""
    return store._recent.steps if name == "_recent" else store._newest_runs


async def rows_of(store: SqlStore, session: Session, name: str) -> Sequence[Any]:
    """The rows that it gives for all flows."""
    if name == "_recent":
        return await store._recent.rows(session, FLOWS, EACH)
    return await session.given_rows(store._newest_runs, [{"job_id": flow} for flow in FLOWS])


@pytest.mark.parametrize("name", ["_recent", "_newest_runs"])
async def test_sqlite_looks_for_the_newest_runs_by_indexes_alone(sqlite: SqlStore, name: str) -> None:
    statement = asked(sqlite, name)
    plan = replace(statement, sql=f"EXPLAIN QUERY PLAN {statement.sql}")

    async def work(session: Session) -> Sequence[Any]:
        return await session.given_rows(plan, [{"job_id": flow} for flow in FLOWS], each=EACH)

    steps = [row[3] for row in await sqlite._database.once("explain", work)]
    runs = [step for step in steps if {"m", "r"} & set(step.split()[1:2])]
    assert runs
    assert all(step.startswith("SEARCH") for step in runs), steps


@pytest.mark.parametrize(("name", "most"), [("_recent", EACH), ("_newest_runs", 1)])
async def test_mariadb_reads_no_more_runs_than_it_gives_and_steps_over(
    mariadb_store: SqlStore, name: str, most: int
) -> None:
    dialect = mariadb_store._database.dialect

    async def work(session: Session) -> tuple[int, int]:
        await session.rows(dialect.statement("FLUSH STATUS"))
        given = await rows_of(mariadb_store, session, name)
        counts = await session.rows(
            dialect.statement("SHOW SESSION STATUS WHERE Variable_name LIKE 'Handler_read%'")
        )
        return len(given), sum(int(count) for _, count in counts)

    given, read = await mariadb_store._database.once("count reads", work)
    assert given == len(FLOWS) * most
    # Each step goes from the newest one on, over those that were given before; and each run is looked up.
    assert read < len(FLOWS) * most * (most + 8) < len(FLOWS) * KEPT
