"""SQL stores, as the checks of the contract take them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from sqlalchemy import delete, insert, update
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from piko_flow.store.opening import open_store
from piko_flow.store.protocols import Store
from piko_flow.store.records import ConfigRecord, ScheduleRecord
from piko_flow.store.sql.connecting import read_url
from piko_flow.store.sql.run_tables import TABLES
from piko_flow.store.sql.schedule_records import schedule_row


class SqlStores:
    """The store in the database at a URL, each handle with connections of its own.

    The database is emptied before the first of them: that is much quicker than to make one for each check.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._empty = False

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
        async with self._connected() as connection:
            await connection.execute(delete(table).where(table.c.job_id == row.flow))
            await connection.execute(insert(table).values(values))

    async def delete_config(self, flow: str) -> None:
        """Delete the row, by a statement of a connection of its own."""
        table = TABLES["job_config"]
        async with self._connected() as connection:
            await connection.execute(delete(table).where(table.c.job_id == flow))

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[Store]:
        store = await open_store(self._url)
        try:
            if not self._empty:
                await self._delete_all()
            yield store
        finally:
            await store.close()

    async def _delete_all(self) -> None:
        async with self._connected() as connection:
            for name, table in TABLES.items():
                if name != "run_id_block":
                    await connection.execute(delete(table))
            await connection.execute(update(TABLES["run_id_block"]).values(next_id=1))
        self._empty = True

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[AsyncConnection]:
        engine = create_async_engine(read_url(self._url), poolclass=NullPool)
        async with engine.begin() as connection:
            yield connection
        await engine.dispose()
