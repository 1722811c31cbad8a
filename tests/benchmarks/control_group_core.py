"""The prototype's store on SQLAlchemy Core, for both databases."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    bindparam,
    event,
    func,
    select,
    update,
)
from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from tests.benchmarks.control_group import Group, expect
from tests.benchmarks.control_group_drivers import HOST, PID, ids

METADATA = MetaData()
KEY = BigInteger().with_variant(Integer, "sqlite")
INSTANT = DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
RUNS = Table(
    "job_run",
    METADATA,
    Column("run_id", KEY, primary_key=True),
    Column("job_id", String(128), nullable=False),
    Column("scheduled_time", INSTANT, nullable=False),
    Column("start_time", INSTANT),
    Column("end_time", INSTANT),
    Column("status", String(32), nullable=False),
    *(Column(name, BigInteger) for name in ("config_version", "schedule_version")),
    *(Column(name, INSTANT) for name in ("data_time_start", "data_time_end")),
    *(Column(name, Integer) for name in ("compute_ms", "persist_ms", "duration_ms")),
    Column("attempt", Integer, nullable=False),
    *(Column(name, String(64)) for name in ("error_type", "error_hash")),
    Column("error_msg", String(512)),
    Column("host", String(128)),
    Column("pid", Integer),
    Column("created_at", INSTANT, nullable=False),
    Index("job_run_by_flow", "job_id", "scheduled_time"),
    Index("job_run_by_status", "status"),
    Index("job_run_by_age", "created_at"),
)
LEDGER = Table(
    "ledger",
    METADATA,
    Column("job_id", String(128), primary_key=True),
    Column("runs", BigInteger, nullable=False),
    Column("until", INSTANT, nullable=False),
)
INSERT = RUNS.insert()
CLAIM = (
    update(RUNS)
    .where(RUNS.c.run_id.in_(bindparam("ids", expanding=True)), RUNS.c.status == "QUEUED")
    .values(status="RUNNING", start_time=bindparam("now"), host=HOST, pid=PID)
)
FINISH = (
    update(RUNS)
    .where(RUNS.c.run_id.in_(bindparam("ids", expanding=True)), RUNS.c.status == "RUNNING")
    .values(status="SUCCESS", end_time=bindparam("now"), duration_ms=0)
)


def settling(dialect: str) -> Any:
    """The ledger's upsert, which is the one statement that the two write differently."""
    if dialect == "sqlite":
        wanted = sqlite.insert(LEDGER)
        changes: dict[str, Any] = {
            "runs": LEDGER.c.runs + wanted.excluded.runs,
            "until": func.max(LEDGER.c.until, wanted.excluded.until),
        }
        return wanted.on_conflict_do_update(index_elements=["job_id"], set_=changes)
    insert = mysql.insert(LEDGER)
    latest = func.greatest(LEDGER.c.until, insert.inserted.until)
    return insert.on_duplicate_key_update(runs=LEDGER.c.runs + insert.inserted.runs, until=latest)


class CoreStore:
    """One connection of an asynchronous engine."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection, self._settle = connection, settling(connection.dialect.name)

    async def commit(self, group: Group) -> None:
        now, execute = datetime.now(UTC).replace(tzinfo=None), self._connection.execute
        if group.queued or group.started:
            await execute(INSERT, self._inserted(group, now))
        if group.claimed:
            moved = await execute(CLAIM, {"ids": ids(group.claimed), "now": now})
            expect(moved.rowcount, len(group.claimed), "claim")
        if group.finished:
            moved = await execute(FINISH, {"ids": ids(group.finished), "now": now})
            expect(moved.rowcount, len(group.finished), "finish")
            settled = [
                {"job_id": flow, "runs": runs, "until": until.replace(tzinfo=None)}
                for flow, (runs, until) in group.settled().items()
            ]
            await execute(self._settle, settled)
        await self._connection.commit()

    @staticmethod
    def _inserted(group: Group, now: datetime) -> list[dict[str, Any]]:
        return [
            {
                "run_id": row.run_id,
                "job_id": row.flow,
                "scheduled_time": row.scheduled_time.replace(tzinfo=None),
                "status": status,
                "start_time": start,
                "attempt": 1,
                "host": host,
                "pid": pid,
                "created_at": now,
            }
            for rows, status, start, host, pid in (
                (group.queued, "QUEUED", None, None, None),
                (group.started, "RUNNING", now, HOST, PID),
            )
            for row in rows
        ]

    async def check(self, runs: int) -> None:
        succeeded = (
            select(func.count())
            .select_from(RUNS)
            .where(RUNS.c.status == "SUCCESS", RUNS.c.end_time.is_not(None))
        )
        for statement in (succeeded, select(func.coalesce(func.sum(LEDGER.c.runs), 0))):
            assert int((await self._connection.execute(statement)).scalar_one()) == runs, str(statement)


@asynccontextmanager
async def core_store(url: str) -> AsyncIterator[CoreStore]:
    """The tables in the database of the URL, and a store on one connection of an engine."""
    engine = create_async_engine(url)
    if engine.dialect.name == "sqlite":

        @event.listens_for(engine.sync_engine, "connect")
        def durable(connection: Any, _: object) -> None:
            for pragma in ("journal_mode = WAL", "synchronous = FULL", "busy_timeout = 10000"):
                connection.execute(f"PRAGMA {pragma}")
    else:
        engine = create_async_engine(url, isolation_level="READ COMMITTED")
    try:
        async with engine.connect() as connection:
            await connection.run_sync(METADATA.create_all)
            await connection.commit()
            yield CoreStore(connection)
    finally:
        await engine.dispose()
