"""The SQL that people of the existing system run by hand, verbatim, on MariaDB in strict mode, far from UTC."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from piko_flow.clock import now
from piko_flow.store.batch import Batch
from piko_flow.store.opening import open_store
from piko_flow.store.protocols import Store
from piko_flow.store.records import ConfigRecord, NewRun, ScheduleRecord
from tests.databases.ground import Ground
from tests.databases.plugin import demand
from tests.databases.server import Server

HELLO = """INSERT INTO scheduled_job(job_id, schedule_type, schedule_expr, enabled, version)
VALUES ("hello_job", "interval", '{"seconds": 10}', 1, 1)
ON DUPLICATE KEY UPDATE enabled=1, schedule_expr='{"seconds":10}', version=version+1;"""
MINI = """-- 每 5 秒触发一次
INSERT INTO scheduled_job(job_id, schedule_type, schedule_expr, enabled, version)
VALUES ("mini_job", "interval", '{"seconds": 5}', 1, 1)
ON DUPLICATE KEY UPDATE enabled=1, schedule_expr='{"seconds":5}', version=version+1;"""
SYNC_ORDERS = """INSERT INTO scheduled_job(job_id, schedule_type, schedule_expr, enabled, version)
VALUES ("sync_orders", "cron", '{"minute": 0}', 1, 1)
ON DUPLICATE KEY UPDATE enabled=1, schedule_expr='{"minute":0}', version=version+1;"""
DAILY = """-- cron：每天 02:30
INSERT INTO scheduled_job(job_id, schedule_type, schedule_expr, enabled, version)
VALUES ("daily_job", "cron", '{"hour": 2, "minute": 30}', 1, 1);"""  # noqa: RUF001
FAST = """-- interval：每 10 秒
INSERT INTO scheduled_job(job_id, schedule_type, schedule_expr, enabled, version)
VALUES ("fast_job", "interval", '{"seconds": 10}', 1, 1);"""  # noqa: RUF001
ONE_SHOT = """-- date：2026-01-08 10:00 触发一次（注意时区由 settings.timezone 决定）
INSERT INTO scheduled_job(job_id, schedule_type, schedule_expr, enabled, version)
VALUES ("one_shot", "date", '{"run_date": "2026-01-08 10:00:00"}', 1, 1);"""  # noqa: RUF001
SWEEP = """INSERT INTO job_config(job_id, schema_version, config_json, version)
VALUES ("sweep_cfg", 1, '{"concurrency": 200, "timeout_s": 3}', 1)
ON DUPLICATE KEY UPDATE config_json='{"concurrency":200,"timeout_s":3}', version=version+1;"""
SWEEP_LATER = """UPDATE job_config
SET config_json='{"concurrency":100,"timeout_s":5}',
    effective_from = DATE_ADD(UTC_TIMESTAMP(6), INTERVAL 10 MINUTE),
    version=version+1
WHERE job_id="sweep_cfg";"""
SYSTEM_ROW = """INSERT INTO job_config(job_id, config_json) VALUES ('piko_system_settings', '{"poll_interval_s": 3}');"""
SCHEDULES = {
    "hello_job": (HELLO, "interval", {"seconds": 10}),
    "mini_job": (MINI, "interval", {"seconds": 5}),
    "sync_orders": (SYNC_ORDERS, "cron", {"minute": 0}),
    "daily_job": (DAILY, "cron", {"hour": 2, "minute": 30}),
    "fast_job": (FAST, "interval", {"seconds": 10}),
    "one_shot": (ONE_SHOT, "date", {"run_date": "2026-01-08 10:00:00"}),
}
NEAR = timedelta(minutes=1)


@pytest.fixture(scope="module")
def far_server(database_ground: Ground) -> Iterator[Server]:
    """A MariaDB whose own zone is five and a half hours off."""
    demand("mariadb")
    server = database_ground.start("mariadb", time_zone="+05:30")
    yield server
    database_ground.remove(server)


@pytest.fixture
def far_url(far_server: Server) -> Iterator[str]:
    """An empty database there."""
    url = far_server.create_database()
    yield url
    far_server.drop_database(url)


@pytest_asyncio.fixture
async def store(far_url: str) -> AsyncIterator[Store]:
    store = await open_store(far_url)
    yield store
    await store.close()


@pytest_asyncio.fixture
async def person(far_url: str, store: Store) -> AsyncIterator[AsyncConnection]:
    """A SQL client of a person: the server's zone, and strict."""
    engine = create_async_engine(make_url(far_url), poolclass=NullPool, isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.exec_driver_sql("SET SESSION sql_mode = 'TRADITIONAL'")
        yield connection
    await engine.dispose()


async def schedule(store: Store, flow: str) -> ScheduleRecord:
    return {row.flow: row for row in await store.schedules()}[flow]


async def config(store: Store, flow: str) -> ConfigRecord:
    return {row.flow: row for row in await store.configs()}[flow]


@pytest.mark.parametrize("flow", SCHEDULES)
async def test_a_schedule_is_inserted_with_the_defaults_of_the_server(
    flow: str, person: AsyncConnection, store: Store
) -> None:
    statement, kind, expression = SCHEDULES[flow]
    before = await store.digest()
    await person.exec_driver_sql(statement)
    row = await schedule(store, flow)
    assert (row.schedule_type, json.loads(row.schedule_expr)) == (kind, expression)
    # As the record's own defaults say, which is what the columns' comments promise.
    assert row == ScheduleRecord(flow, kind, row.schedule_expr, updated_at=row.updated_at)
    assert row.updated_at is not None
    assert abs(row.updated_at - now()) < NEAR
    assert (await store.digest()).schedules != before.schedules


@pytest.mark.parametrize("flow", ["hello_job", "mini_job", "sync_orders"])
async def test_the_same_statement_again_changes_the_row_and_its_version(
    flow: str, person: AsyncConnection, store: Store
) -> None:
    statement, _, expression = SCHEDULES[flow]
    await person.exec_driver_sql(statement)
    await person.exec_driver_sql("UPDATE scheduled_job SET enabled = 0")
    off = await store.digest()
    assert not (await schedule(store, flow)).enabled
    await person.exec_driver_sql(statement)
    row = await schedule(store, flow)
    assert (row.enabled, row.version, json.loads(row.schedule_expr)) == (True, 2, expression)
    assert (await store.digest()).schedules != off.schedules


async def test_parameters_are_inserted_and_replaced(person: AsyncConnection, store: Store) -> None:
    await person.exec_driver_sql(SWEEP)
    first = await config(store, "sweep_cfg")
    assert (json.loads(first.text), first.schema_version, first.version) == (
        {"concurrency": 200, "timeout_s": 3},
        1,
        1,
    )
    assert first.effective_from is None
    await person.exec_driver_sql(SWEEP)
    assert (await config(store, "sweep_cfg")).version == 2


async def test_parameters_take_effect_ten_minutes_from_now_whatever_the_zone_of_the_session(
    person: AsyncConnection, store: Store
) -> None:
    await person.exec_driver_sql(SWEEP)
    before = await store.digest()
    await person.exec_driver_sql(SWEEP_LATER)
    row = await config(store, "sweep_cfg")
    assert json.loads(row.text) == {"concurrency": 100, "timeout_s": 5}
    assert row.effective_from is not None
    after = await store.digest()
    assert abs(row.effective_from - after.now - timedelta(minutes=10)) < NEAR
    assert (row.version, after.configs != before.configs) == (2, True)


async def test_the_row_that_sets_the_polling_interval_needs_nothing_else(
    person: AsyncConnection, store: Store
) -> None:
    await person.exec_driver_sql(SYSTEM_ROW)
    row = await config(store, "piko_system_settings")
    assert (json.loads(row.text), row.schema_version, row.version) == ({"poll_interval_s": 3}, 1, 1)


async def test_parameters_that_are_no_json_are_refused_by_mariadb_itself(
    person: AsyncConnection, store: Store
) -> None:
    with pytest.raises(Exception, match="CONSTRAINT"):
        await person.exec_driver_sql("INSERT INTO job_config(job_id, config_json) VALUES ('x', '{nonsense')")
    assert await store.configs() == []


async def test_a_person_sees_the_times_of_runs_in_utc(person: AsyncConnection, store: Store) -> None:

    due = datetime(2026, 3, 29, 1, 30, 0, 123457, tzinfo=UTC)
    written = await store.write(Batch("one", queue=[NewRun("orders", due, "schedule:1")]))
    found = await person.exec_driver_sql("SELECT scheduled_time, created_at FROM job_run")
    row: Any = found.one()
    assert row[0] == due.replace(tzinfo=None)
    assert row[1] == written.now.replace(tzinfo=None)
    assert abs(written.now - now()) < NEAR
