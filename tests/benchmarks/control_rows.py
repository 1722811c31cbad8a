"""A table of runs with a long past: rows that the server makes itself, by the million."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.ext.asyncio import create_async_engine

MILLION, FLOWS = 1_000_000, 200
EVERY = timedelta(minutes=5)  # 5,000 runs a flow reach back 17 days, which no default of retention touches
NO_COLUMNS: Mapping[str, str] = {}


@dataclass(frozen=True)
class Dialect:
    """How a server counts to `{rows}`, divides, joins text and goes `{back}` seconds before `{newest}`."""

    numbers: str
    quotient: str
    flow: str
    instant: str


DIALECTS = {
    "sqlite": Dialect(
        "WITH RECURSIVE counted(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM counted WHERE i < {rows})",
        f"i / {FLOWS}",
        f"'past_' || (i % {FLOWS})",
        "strftime('%Y-%m-%d %H:%M:%f000', '{newest}', (0 - ({back})) || ' seconds')",
    ),
    "mysql": Dialect(
        "WITH counted AS (SELECT CAST(seq AS SIGNED) AS i FROM seq_1_to_{rows})",
        f"i DIV {FLOWS}",
        f"CONCAT('past_', i % {FLOWS})",
        "TIMESTAMP('{newest}') - INTERVAL ({back}) SECOND",
    ),
    "postgresql": Dialect(
        "WITH counted AS (SELECT i FROM generate_series(1, {rows}) AS i)",
        f"i / {FLOWS}",
        f"'past_' || (i % {FLOWS})",
        "TIMESTAMP WITH TIME ZONE '{newest}+00' - MAKE_INTERVAL(secs => {back})",
    ),
}


def statement(dialect: str, rows: int, newest: datetime, columns: Mapping[str, str]) -> str:
    """The INSERT that fills job_run; `columns` has an SQL expression for each further column, over the number `i`."""
    wording = DIALECTS[dialect]
    back, until = f"({wording.quotient}) * {int(EVERY.total_seconds())}", newest.strftime("%Y-%m-%d %H:%M:%S")
    due = wording.instant.format(newest=until, back=back)
    end = wording.instant.format(newest=until, back=f"{back} - 2")
    failed = "i % 50 = 0"
    values = {
        "job_id": wording.flow,
        "scheduled_time": due,
        "start_time": due,
        "end_time": end,
        "status": f"CASE WHEN {failed} THEN 'FAILED' ELSE 'SUCCESS' END",
        "config_version": "1",
        "schedule_version": "1",
        "duration_ms": "2000",
        "attempt": "1",
        "error_type": f"CASE WHEN {failed} THEN 'OSError' END",
        "error_msg": f"CASE WHEN {failed} THEN 'the other side hung up before it had answered' END",
        "host": "'host-1'",
        "pid": "4711",
        "created_at": due,
        **columns,
    }
    chosen = f"SELECT {', '.join(values.values())} FROM counted"
    insert, numbers = f"INSERT INTO job_run ({', '.join(values)})", wording.numbers.format(rows=rows)
    return f"{insert} {numbers} {chosen}" if dialect == "mysql" else f"{numbers} {insert} {chosen}"


def fill(url: str, *, rows: int = MILLION, columns: Mapping[str, str] = NO_COLUMNS) -> None:
    """Insert so many runs that have ended, the newest due now, in one statement; the table must be there.

    No two have the same flow and scheduled time.
    """
    parsed = make_url(url)
    newest = datetime.now(UTC).replace(second=0, microsecond=0)
    filling = statement(parsed.get_backend_name(), rows, newest, columns)
    if parsed.get_backend_name() == "sqlite":
        _fill_file(str(parsed.database), filling)
    else:
        asyncio.run(_fill_server(parsed, filling))


def _fill_file(path: str, filling: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(filling)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("ANALYZE")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


async def _fill_server(url: URL, filling: str) -> None:
    engine = create_async_engine(url)
    try:
        async with engine.begin() as connection:
            await connection.execute(text(filling.replace(":", "\\:")))
        async with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            mysql = engine.dialect.name == "mysql"
            await connection.execute(text("ANALYZE TABLE job_run" if mysql else "VACUUM ANALYZE job_run"))
    finally:
        await engine.dispose()
