"""Two public libraries that record what they run, each with empty work and a hundred in flight.

Both as their manuals show it, in their durable mode, with what made them fastest here.
"""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from time import perf_counter

from sqlalchemy.engine import make_url

CONNECTIONS = 10  # of procrastinate's pool; 4 and 20 were slower
AT_ONCE = 1_000  # that are handed to procrastinate in one call


async def procrastinate_runs(url: str, *, count: int, in_flight: int) -> float:
    """The seconds from the first that is queued until one worker has ended all; its table is asked whether they did."""
    import procrastinate  # each library is imported where it runs alone

    parts = make_url(url)
    app = procrastinate.App(
        connector=procrastinate.PsycopgConnector(
            conninfo=parts.set(drivername="postgresql").render_as_string(hide_password=False),
            min_size=CONNECTIONS,
            max_size=CONNECTIONS,
        )
    )

    @app.task(name="empty")
    async def empty() -> None:
        """Nothing."""

    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        began = perf_counter()
        for first in range(0, count, AT_ONCE):
            await empty.batch_defer_async(*({} for _ in range(min(AT_ONCE, count - first))))
        await app.run_worker_async(concurrency=in_flight, wait=False, install_signal_handlers=False)
        seconds = perf_counter() - began
        ended = await app.connector.execute_query_all_async(
            "SELECT status::text AS status, count(*) AS jobs FROM procrastinate_jobs GROUP BY status"
        )
    assert ended == [{"status": "succeeded", "jobs": count}], ended
    return seconds


async def dbos_runs(url: str, *, count: int, in_flight: int) -> float:
    """The seconds for so many workflows, called directly, which was faster than over its queue."""
    from dbos import DBOS

    path = make_url(url).database
    DBOS(config={"name": "empty", "system_database_url": f"sqlite:///{path}", "log_level": "ERROR"})

    @DBOS.workflow()
    async def empty() -> None:
        """Nothing."""

    DBOS.launch()
    try:
        calls = iter(range(count))

        async def slot() -> None:
            for _ in calls:
                await empty()

        began = perf_counter()
        async with asyncio.TaskGroup() as slots:
            for _ in range(in_flight):
                slots.create_task(slot())
        seconds = perf_counter() - began
    finally:
        DBOS.destroy()
    with closing(sqlite3.connect(str(path))) as connection:
        ended = connection.execute("SELECT status, count(*) FROM workflow_status GROUP BY status").fetchall()
    assert ended == [("SUCCESS", count)], ended
    return seconds
