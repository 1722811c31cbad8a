"""Instants that a server keeps and Python has not: each store tells them by their column, and reads all other rows."""

from __future__ import annotations

from typing import Final

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from piko_flow.planning.window import Window
from piko_flow.store.opening import open_store
from piko_flow.store.sql.connecting import read_url
from piko_flow.testing.store_contract.scene import START, end, ending, hour, schedule, start, windowed

MARIADB: Final = ("0000-00-00 00:00:00", "2026-00-10 00:00:00", "2026-02-00 10:00:00")
POSTGRES: Final = ("infinity", "-infinity", "4700-01-01 00:00:00+00 BC", "294000-01-01 00:00:00+00")
SQLITE: Final = ("yesterday", "0000-00-00 00:00:00")
COLUMNS: Final = ("last_data_time", "completed_at")


@pytest.fixture
def bad(database_url: str) -> tuple[str, tuple[str, ...]]:
    """A database in turn, and the moments that it keeps."""
    kept = {"sqlite": SQLITE, "mysql": MARIADB, "postgresql": POSTGRES}
    return database_url, kept[read_url(database_url).get_backend_name()]


async def test_an_instant_that_is_none_is_told_by_its_column_and_other_rows_are_read(
    bad: tuple[str, tuple[str, ...]],
) -> None:
    url, values = bad
    store = await open_store(url)
    try:
        await store.add_schedules([schedule(), schedule("mail", last_data_time=START)])
        await store.set_config("orders", "{}", schema_version=1, effective_from=None)
        for value in values:
            for column in COLUMNS:
                await _write(url, f"UPDATE scheduled_job SET {column} = '{value}' WHERE job_id = 'orders'")
                await store.digest()
                rows = {row.flow: row for row in await store.schedules()}
                assert [name for name, _ in rows["orders"].unreadable] == [column]
                assert rows["mail"].last_data_time == START
                assert {one.row for one in await store.marked_schedules(["orders", "mail"])} == {
                    *rows.values()
                }
                await _write(url, f"UPDATE scheduled_job SET {column} = NULL WHERE job_id = 'orders'")
            await _write(url, f"UPDATE job_config SET effective_from = '{value}'")
            config = await store.config("orders")
            assert config is not None
            assert [name for name, _ in config.unreadable] == ["effective_from"]
            assert await store.configs() == [config]
    finally:
        await store.close()


async def test_a_run_ends_though_nobody_can_read_its_flows_last_data_time_which_stays(
    bad: tuple[str, tuple[str, ...]],
) -> None:
    url, values = bad
    store = await open_store(url)
    try:
        await store.add_schedules([schedule()])
        [run] = await start(store, windowed(0))
        await _write(url, f"UPDATE scheduled_job SET last_data_time = '{values[0]}'")
        await end(store, ending(run))
        state = (await store.states(["orders"]))["orders"]
        assert [Window(span.start, span.end) for span in state.ledger.spans] == [hour(0)]
        [row] = await store.schedules()
        assert [name for name, _ in row.unreadable] == ["last_data_time"]
        await store.set_schedule(schedule(max_instances=3))
        [row] = await store.schedules()
        assert (row.max_instances, [name for name, _ in row.unreadable]) == (3, ["last_data_time"])
    finally:
        await store.close()


async def _write(url: str, statement: str) -> None:
    """What a client of another mode than ours writes."""
    engine = create_async_engine(read_url(url), poolclass=NullPool)
    try:
        async with engine.begin() as connection:
            if engine.dialect.name == "mysql":
                await connection.execute(text("SET sql_mode = 'ALLOW_INVALID_DATES'"))
            await connection.execute(text(statement.replace(":00", "\\:00")))
    finally:
        await engine.dispose()
