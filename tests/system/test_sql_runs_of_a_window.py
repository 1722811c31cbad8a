"""All runs of a window are found by their index, however many runs their flow has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from piko_flow.planning.window import Window
from piko_flow.store.batch import Batch
from piko_flow.store.opening import open_store
from piko_flow.store.protocols import RunFilter
from piko_flow.store.records import NewRun
from piko_flow.store.sql.store import SqlStore

BEGIN, HOUR = datetime(2026, 3, 2, tzinfo=UTC), timedelta(hours=1)
KEPT = 2_000
EXPLAIN = {"sqlite": "EXPLAIN QUERY PLAN", "mysql": "EXPLAIN", "postgresql": "EXPLAIN"}

ANALYZE = {"mysql": "ANALYZE TABLE job_run"}


def window(number: int) -> Window:
    return Window(BEGIN + number * HOUR, BEGIN + (number + 1) * HOUR)


async def test_the_runs_of_a_window_are_found_by_an_index(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await open_store(database_url)
    assert isinstance(store, SqlStore)
    try:
        runs = [NewRun("orders", window(n).end, f"run {n}", window=window(n)) for n in range(KEPT)]
        await store.write(Batch("one", queue=runs))
        database, plans = store._database, list[str]()
        counted = ANALYZE.get(
            database.dialect.name, "ANALYZE"
        )  # what is in a table, for those that plan by it
        await database.rows("analyze", database.dialect.statement(counted))
        asked = database.rows

        async def explained(what: str, statement: Any, **values: Any) -> Sequence[Any]:
            plan = replace(statement, sql=f"{EXPLAIN[database.dialect.name]} {statement.sql}")
            plans.extend(str(tuple(row)) for row in await asked("explain", plan, **values))
            return await asked(what, statement, **values)

        monkeypatch.setattr(database, "rows", explained)
        [found] = await store.runs(RunFilter(flow="orders", window=window(7), limit=11))
    finally:
        await store.close()
    assert found.key == "run 7"
    assert any("ix_job_run_window" in plan.replace("`", "") for plan in plans), plans
