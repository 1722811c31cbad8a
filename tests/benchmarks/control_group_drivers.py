"""The prototype's stores on the drivers themselves: aiosqlite and asyncmy."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiosqlite
import asyncmy
from sqlalchemy.engine import make_url

from tests.benchmarks.control_group import Group, Row, expect

HOST, PID = socket.gethostname(), os.getpid()
COLUMNS = "run_id, job_id, scheduled_time, status, start_time, attempt, host, pid, created_at"
JOB_RUN = """CREATE TABLE job_run (
    run_id {key}, job_id VARCHAR(128) NOT NULL, scheduled_time {time} NOT NULL,
    start_time {time}, end_time {time}, status VARCHAR(32) NOT NULL,
    config_version BIGINT, schedule_version BIGINT, data_time_start {time}, data_time_end {time},
    compute_ms INT, persist_ms INT, duration_ms INT, attempt INT NOT NULL,
    error_type VARCHAR(64), error_hash VARCHAR(64), error_msg VARCHAR(512),
    host VARCHAR(128), pid INT, created_at {time} NOT NULL)"""
INDEXES = (
    "CREATE INDEX job_run_by_flow ON job_run (job_id, scheduled_time)",
    "CREATE INDEX job_run_by_status ON job_run (status)",
    "CREATE INDEX job_run_by_age ON job_run (created_at)",
)
LEDGER = "CREATE TABLE ledger (job_id VARCHAR(128) PRIMARY KEY, runs BIGINT NOT NULL, until {time} NOT NULL)"
SUCCEEDED = "SELECT COUNT(*) FROM job_run WHERE status = 'SUCCESS' AND end_time IS NOT NULL"
COUNTED = "SELECT COALESCE(SUM(runs), 0) FROM ledger"


def tables(*, key: str, time: str) -> tuple[str, ...]:
    """The seed's job_run with its indexes, and a ledger of one row a flow."""
    return (JOB_RUN.format(key=key, time=time), *INDEXES, LEDGER.format(time=time))


def inserted(group: Group, now: Any) -> list[tuple[Any, ...]]:
    """The values of COLUMNS for the group's new rows."""
    queued = [
        (row.run_id, row.flow, row.scheduled_time, "QUEUED", None, 1, None, None, now) for row in group.queued
    ]
    return queued + [
        (row.run_id, row.flow, row.scheduled_time, "RUNNING", now, 1, HOST, PID, now) for row in group.started
    ]


def ids(rows: Sequence[Row]) -> list[int]:
    return [row.run_id for row in rows]


def marks(mark: str, values: Iterable[object]) -> str:
    return ", ".join(mark for _ in values)


class SqliteStore:
    """One aiosqlite connection in WAL with synchronous FULL."""

    def __init__(self, connection: aiosqlite.Connection) -> None:
        self._connection = connection

    async def commit(self, group: Group) -> None:
        now, execute = self._text(datetime.now(UTC)), self._connection.execute
        await execute("BEGIN IMMEDIATE")
        if group.queued or group.started:
            rows = [(*values[:2], self._text(values[2]), *values[3:]) for values in inserted(group, now)]
            await self._connection.executemany(
                f"INSERT INTO job_run ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows
            )
        if group.claimed:
            statement = f"""UPDATE job_run SET status = 'RUNNING', start_time = ?, host = ?, pid = ?
                WHERE status = 'QUEUED' AND run_id IN ({marks("?", group.claimed)})"""
            moved = await execute(statement, (now, HOST, PID, *ids(group.claimed)))
            expect(moved.rowcount, len(group.claimed), "claim")
        if group.finished:
            statement = f"""UPDATE job_run SET status = 'SUCCESS', end_time = ?, duration_ms = ?
                WHERE status = 'RUNNING' AND run_id IN ({marks("?", group.finished)})"""
            moved = await execute(statement, (now, 0, *ids(group.finished)))
            expect(moved.rowcount, len(group.finished), "finish")
            await self._connection.executemany(
                """INSERT INTO ledger (job_id, runs, until) VALUES (?, ?, ?) ON CONFLICT (job_id)
                DO UPDATE SET runs = runs + excluded.runs, until = MAX(until, excluded.until)""",
                [(flow, runs, self._text(until)) for flow, (runs, until) in group.settled().items()],
            )
        await execute("COMMIT")

    @staticmethod
    def _text(instant: datetime) -> str:
        return instant.strftime("%Y-%m-%d %H:%M:%S.%f")

    async def check(self, runs: int) -> None:
        for statement in (SUCCEEDED, COUNTED):
            async with self._connection.execute(statement) as found:
                assert list(await found.fetchall()) == [(runs,)], statement


class MariaStore:
    """One asyncmy connection; a commit is one transaction of at most four statements."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def commit(self, group: Group) -> None:
        now = datetime.now(UTC).replace(tzinfo=None)
        await self._connection.begin()
        async with self._connection.cursor() as cursor:
            if group.queued or group.started:
                rows = [
                    (*values[:2], values[2].replace(tzinfo=None), *values[3:])
                    for values in inserted(group, now)
                ]
                await cursor.executemany(
                    f"INSERT INTO job_run ({COLUMNS}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)", rows
                )
            if group.claimed:
                statement = f"""UPDATE job_run SET status = 'RUNNING', start_time = %s, host = %s, pid = %s
                    WHERE status = 'QUEUED' AND run_id IN ({marks("%s", group.claimed)})"""
                moved = await cursor.execute(statement, (now, HOST, PID, *ids(group.claimed)))
                expect(moved, len(group.claimed), "claim")
            if group.finished:
                await self._finish(cursor, group, now)
        await self._connection.commit()

    @staticmethod
    async def _finish(cursor: Any, group: Group, now: datetime) -> None:
        statement = f"""UPDATE job_run SET status = 'SUCCESS', end_time = %s, duration_ms = %s
            WHERE status = 'RUNNING' AND run_id IN ({marks("%s", group.finished)})"""
        moved = await cursor.execute(statement, (now, 0, *ids(group.finished)))
        expect(moved, len(group.finished), "finish")
        await cursor.executemany(
            """INSERT INTO ledger (job_id, runs, until) VALUES (%s, %s, %s) ON DUPLICATE KEY
            UPDATE runs = runs + VALUES(runs), until = GREATEST(until, VALUES(until))""",
            [(flow, runs, until.replace(tzinfo=None)) for flow, (runs, until) in group.settled().items()],
        )

    async def check(self, runs: int) -> None:
        async with self._connection.cursor() as cursor:
            for statement in (SUCCEEDED, COUNTED):
                await cursor.execute(statement)
                assert [int(count) for (count,) in await cursor.fetchall()] == [runs], statement


@asynccontextmanager
async def sqlite_store(url: str) -> AsyncIterator[SqliteStore]:
    """The tables in the file of the URL, and a store on it."""
    path = make_url(url).database
    assert path
    connection = await aiosqlite.connect(Path(path), isolation_level=None)
    try:
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "busy_timeout = 10000"):
            await connection.execute(f"PRAGMA {pragma}")
        for statement in tables(key="INTEGER PRIMARY KEY", time="TEXT"):
            await connection.execute(statement)
        yield SqliteStore(connection)
    finally:
        await connection.close()


@asynccontextmanager
async def maria_store(url: str) -> AsyncIterator[MariaStore]:
    """The tables in the database of the URL, and a store on one connection."""
    parts = make_url(url)
    connection = await asyncmy.connect(
        host=parts.host,
        port=parts.port,
        user=parts.username,
        password=parts.password or "",
        database=parts.database,
        init_command="SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
    )
    try:
        async with connection.cursor() as cursor:
            for statement in tables(key="BIGINT AUTO_INCREMENT PRIMARY KEY", time="DATETIME(6)"):
                await cursor.execute(statement)
        yield MariaStore(connection)
    finally:
        await asyncio.shield(connection.ensure_closed())
