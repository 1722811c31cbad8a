"""Tables are made and brought up to date, by however many replicas at once, upon whatever is there already."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from piko_flow.planning.run_state import RunStatus
from piko_flow.store.batch import Batch, Ending
from piko_flow.store.migrations import HEAD
from piko_flow.store.migrations.looking import has_tables
from piko_flow.store.migrations.running import FOLDER, check, initialise, upgrade
from piko_flow.store.opening import open_store
from piko_flow.store.records import NewRun, ReplicaRecord
from piko_flow.store.sql.connecting import read_url

NOW = datetime(2026, 3, 29, 1, 30, 0, 7, tzinfo=UTC)
# The tables as the existing system makes them, with rows that it left.
SEED = (
    """CREATE TABLE scheduled_job (job_id VARCHAR(128) NOT NULL PRIMARY KEY, schedule_type VARCHAR(16) NOT NULL,
    schedule_expr VARCHAR(512) NOT NULL, timezone VARCHAR(64) NOT NULL, enabled BOOL NOT NULL,
    misfire_grace_s INTEGER NOT NULL, coalesce BOOL NOT NULL, max_instances INTEGER NOT NULL,
    jitter_s INTEGER NOT NULL, executor VARCHAR(16) NOT NULL, concurrency_group VARCHAR(64) NOT NULL,
    is_stateful BOOL NOT NULL, last_data_time DATETIME(6) NULL, max_lookback_window INTEGER NOT NULL,
    version BIGINT NOT NULL, updated_at DATETIME(6) NOT NULL, KEY (enabled), KEY (version), KEY (updated_at))
    CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci""",
    """CREATE TABLE job_config (job_id VARCHAR(128) NOT NULL PRIMARY KEY, schema_version INTEGER NOT NULL,
    config_json JSON NOT NULL, effective_from DATETIME(6) NULL, version BIGINT NOT NULL,
    updated_at DATETIME(6) NOT NULL, KEY (version)) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci""",
    """CREATE TABLE job_run (run_id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, job_id VARCHAR(128) NOT NULL,
    scheduled_time DATETIME(6) NOT NULL, start_time DATETIME(6) NOT NULL, end_time DATETIME(6) NULL,
    status VARCHAR(32) NOT NULL, config_version BIGINT NULL, schedule_version BIGINT NULL,
    data_time_start DATETIME(6) NULL, data_time_end DATETIME(6) NULL, compute_ms INTEGER NULL,
    persist_ms INTEGER NULL, duration_ms INTEGER NULL, attempt INTEGER NOT NULL, error_type VARCHAR(64) NULL,
    error_hash VARCHAR(64) NULL, error_msg VARCHAR(512) NULL, host VARCHAR(128) NOT NULL, pid INTEGER NOT NULL,
    created_at DATETIME(6) NOT NULL, KEY (job_id, scheduled_time), KEY (status), KEY (created_at))
    CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci""",
    """CREATE TABLE job_lock (job_id VARCHAR(128) NOT NULL, scheduled_time DATETIME(6) NOT NULL,
    owner VARCHAR(128) NOT NULL, acquired_at DATETIME(6) NOT NULL, PRIMARY KEY (job_id, scheduled_time))""",
    """CREATE TABLE scheduler_leader (name VARCHAR(64) NOT NULL PRIMARY KEY, owner VARCHAR(128) NOT NULL,
    lease_until DATETIME(6) NOT NULL, version INTEGER NOT NULL, updated_at DATETIME(6) NOT NULL)
    CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci""",
    """INSERT INTO scheduled_job VALUES ('orders', 'cron', '{"minute": 0}', 'Asia/Shanghai', 1, 300, 1, 1, 0, 'cpu',
    'default', 1, '2026-03-01 05:00:00.000007', 0, 4, '2026-03-01 05:00:01')""",
    """INSERT INTO job_config VALUES ('orders', 1, '{"a": 1}', NULL, 2, '2026-03-01 05:00:01')""",
    """INSERT INTO job_run (run_id, job_id, scheduled_time, start_time, end_time, status, attempt, host, pid, created_at)
    VALUES (41, 'orders', '2026-03-01 05:00:00', '2026-03-01 05:00:00', '2026-03-01 05:00:02', 'SUCCESS', 1, 'old', 7,
    '2026-03-01 05:00:00'),
    (42, 'orders', '2026-03-01 06:00:00', '2026-03-01 06:00:00', NULL, 'RUNNING', 1, 'old', 7, '2026-03-01 06:00:00')""",
    """INSERT INTO scheduler_leader VALUES ('default', 'old', '2026-03-01 06:00:00', 9, '2026-03-01 06:00:00')""",
)

# What tables of 0003 and 0004 may lack, indexes before what they are of.
SINCE_INDEXES = (
    ("piko_flow_episode", "ix_piko_flow_episode_begun_waits"),
    ("piko_flow_episode", "ix_piko_flow_episode_over_waits"),
    ("job_run", "ix_job_run_window"),
)
SINCE = (*SINCE_INDEXES, ("piko_flow_episode", "begun_waits"), ("piko_flow_episode", "over_waits"))


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[AsyncConnection]:
    engine = create_async_engine(read_url(url), poolclass=NullPool)
    async with engine.begin() as connection:
        yield connection
    await engine.dispose()


def test_the_newest_version_is_the_one_that_the_code_asks_for() -> None:
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    config.set_main_option("path_separator", "newline")
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


async def test_an_empty_database_gets_all_tables_and_lacks_nothing_then(database_url: str) -> None:
    [before] = await check(database_url)
    assert "no tables" in before
    assert await initialise(database_url) == HEAD
    assert await check(database_url) == []


async def test_tables_are_looked_for_without_making_any(database_url: str) -> None:
    assert not await has_tables(database_url)
    assert not await has_tables(database_url)
    await initialise(database_url)
    assert await has_tables(database_url)


async def test_replicas_that_start_at_once_all_find_the_tables(database_url: str) -> None:
    stores = await asyncio.gather(*(open_store(database_url) for _ in range(4)))
    for number, store in enumerate(stores):
        await store.beat(ReplicaRecord(f"replica-{number}"), ttl=NOW - NOW.replace(minute=0))
    assert len(await stores[0].replicas()) == 4
    for store in stores:
        await store.close()
    assert await check(database_url) == []


async def test_processes_that_start_at_once_all_find_the_tables(database_url: str) -> None:
    code = (
        "import asyncio, sys; from piko_flow.store.migrations.running import upgrade; "
        "print(asyncio.run(upgrade(sys.argv[1])))"
    )
    started = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-W", "error", "-c", code, database_url, stdout=subprocess.PIPE
        )
        for _ in range(2)
    ]
    told = [(await process.communicate())[0].decode().strip() for process in started]
    assert told == [HEAD, HEAD]
    assert await check(database_url) == []


async def test_an_upgrade_of_what_is_current_changes_nothing(database_url: str) -> None:
    store = await open_store(database_url)
    [made] = (await store.write(Batch("one", queue=[NewRun("orders", NOW, "schedule:1")]))).queued
    await store.close()
    assert await upgrade(database_url) == HEAD
    again = await open_store(database_url)
    assert made is not None
    assert await again.run(made.id) == made
    await again.close()


async def test_tables_of_a_newer_version_are_used_as_they_are(database_url: str) -> None:
    await upgrade(database_url)
    async with connected(database_url) as connection:
        await connection.exec_driver_sql("UPDATE piko_flow_version SET version_num = '9999'")
    store = await open_store(database_url)
    await store.digest()
    await store.close()
    assert await upgrade(database_url) == "9999"
    assert await check(database_url) == []


async def test_what_is_missing_is_named(database_url: str) -> None:
    await upgrade(database_url)
    async with connected(database_url) as connection:
        await connection.exec_driver_sql("DROP TABLE dead_letter")
        await connection.exec_driver_sql("ALTER TABLE flow_state DROP COLUMN paused")
    found = await check(database_url)
    assert found == ["table dead_letter is missing", "column flow_state.paused is missing"]


async def test_a_store_that_is_current_is_opened_without_alembic(sqlite_url: str) -> None:
    await upgrade(sqlite_url)
    code = (
        "import asyncio, sys\n"
        "from piko_flow.store.opening import open_store\n"
        "async def main():\n"
        "    store = await open_store(sys.argv[1])\n"
        "    print(store.statements, 'alembic' in sys.modules)\n"
        "    await store.close()\n"
        "asyncio.run(main())"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, sqlite_url, stdout=subprocess.PIPE
    )
    assert (await process.communicate())[0].split() == [b"1", b"False"]


async def test_tables_of_the_existing_system_are_upgraded_where_they_are(mariadb_url: str) -> None:
    async with connected(mariadb_url) as connection:
        for statement in SEED:
            await connection.exec_driver_sql(statement)
    assert await upgrade(mariadb_url) == HEAD
    assert await check(mariadb_url) == []
    store = await open_store(mariadb_url)
    try:
        [schedule], [config] = await store.schedules(), await store.configs()
        assert (schedule.flow, schedule.version, schedule.timezone) == ("orders", 4, "Asia/Shanghai")
        assert schedule.last_data_time == datetime(2026, 3, 1, 5, 0, 0, 7, tzinfo=UTC)
        assert (config.text, config.version) == ('{"a": 1}', 2)
        old = await store.run(41)
        assert old is not None
        assert (old.status, old.host, old.claim) == (RunStatus.SUCCESS, "old", 0)
        # What the existing system left running is its own: nobody rescues it.
        assert [run.id for run in await store.live()] == []
        assert await store.lost() == []
    finally:
        await store.close()


async def test_ids_of_runs_go_on_after_those_of_the_existing_system(mariadb_url: str) -> None:
    async with connected(mariadb_url) as connection:
        for statement in SEED:
            await connection.exec_driver_sql(statement)
    store = await open_store(mariadb_url)
    try:
        new = NewRun("orders", NOW, "schedule:1", claim=True)
        [run] = (await store.write(Batch("one", queue=[new]))).claimed
        assert run.id == 43
        await store.write(Batch("one", endings=[Ending(43, 1, "orders", RunStatus.SUCCESS)]))
        lease = await store.acquire("default", holder="one", ttl=NOW - NOW.replace(minute=0))
        assert lease is not None
        assert lease.term == 10
    finally:
        await store.close()


async def test_an_upgrade_that_was_cut_off_is_finished_by_the_next(mariadb_url: str) -> None:
    await upgrade(mariadb_url)
    async with connected(mariadb_url) as connection:  # as if it had ended in the middle
        await connection.exec_driver_sql("DROP TABLE piko_flow_version, sink_staging, dead_letter")
        await connection.exec_driver_sql(
            "ALTER TABLE job_run DROP COLUMN dead_items, DROP INDEX ix_job_run_live"
        )
    assert await upgrade(mariadb_url) == HEAD
    assert await check(mariadb_url) == []


@pytest.mark.parametrize("made", ["0003", "0004"])
@pytest.mark.parametrize("lacking", [SINCE, SINCE_INDEXES, SINCE_INDEXES[:1]], ids=["all", "indexes", "some"])
async def test_tables_of_an_older_version_get_what_has_been_added_since(
    made: str, lacking: tuple[tuple[str, str], ...], database_url: str
) -> None:
    await upgrade(database_url)
    mysql = read_url(database_url).get_backend_name() == "mysql"
    async with connected(database_url) as connection:
        for table, name in lacking:
            drop = f"ALTER TABLE {table} DROP COLUMN {name}"
            if name.startswith("ix_"):
                drop = f"DROP INDEX {name} ON {table}" if mysql else f"DROP INDEX {name}"
            await connection.exec_driver_sql(drop)
        if made == "0003" and lacking == SINCE:
            await connection.exec_driver_sql("ALTER TABLE replica DROP COLUMN address")
        await connection.exec_driver_sql(f"UPDATE piko_flow_version SET version_num = '{made}'")
    found = await check(database_url)
    assert found[0] == f"the tables are of version {made}, this library needs {HEAD}"
    assert all(any(name in one for one in found) for _, name in lacking)
    assert await upgrade(database_url) == HEAD
    assert await check(database_url) == []


@pytest.mark.parametrize(
    "statement", ["INSERT INTO job_run_attempt VALUES (1)", "SELECT nothing FROM job_run"]
)
async def test_what_the_database_refuses_is_no_outage(statement: str, database_url: str) -> None:
    from piko_flow.store.sql.failures import StatementRefused
    from piko_flow.store.sql.store import SqlStore

    store = await open_store(database_url)
    assert isinstance(store, SqlStore)
    database = store._database
    with pytest.raises(StatementRefused, match="try this"):
        await database.row("try this", database.dialect.statement(statement))
    await store.close()
