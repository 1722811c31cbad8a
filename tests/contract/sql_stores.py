"""SQL stores, as the checks of the contract take them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from sqlalchemy import delete, insert
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from piko_flow.store.opening import open_store
from piko_flow.store.protocols import Store
from piko_flow.store.records import ConfigRecord, ScheduleRecord
from piko_flow.store.sql.connecting import read_url
from piko_flow.store.sql.run_tables import TABLES
from piko_flow.store.sql.schedule_records import schedule_row


class SqlStores:
    """The store in the database at a URL, each handle with connections of its own."""

    def __init__(self, url: str) -> None:
        self._url = url

    def open(self) -> AbstractAsyncContextManager[Store]:
        """Another handle on the database."""
        return self._opened()

    async def edit(self, row: ScheduleRecord | ConfigRecord) -> None:
        """Make the row read exactly so, by statements of a connection of its own."""
        if isinstance(row, ScheduleRecord):
            table, values = TABLES["scheduled_job"], schedule_row(row)
            if row.updated_at is None:
                del values["updated_at"]
        else:
            table = TABLES["job_config"]
            values = {
                "job_id": row.flow,
                "config_json": row.text,
                "schema_version": row.schema_version,
                "effective_from": row.effective_from,
                "version": row.version,
            }
        engine = create_async_engine(read_url(self._url), poolclass=NullPool)
        async with engine.begin() as connection:
            await connection.execute(delete(table).where(table.c.job_id == row.flow))
            await connection.execute(insert(table).values(values))
        await engine.dispose()

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[Store]:
        store = await open_store(self._url)
        try:
            yield store
        finally:
            await store.close()
