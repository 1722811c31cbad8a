"""The memory store, as the checks of the contract take it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from piko_flow.store.memory import MemoryStore
from piko_flow.store.protocols import Store
from piko_flow.store.records import ConfigRecord, ScheduleRecord


class MemoryStores:
    """A memory store whose handles all look at the same rows."""

    def __init__(self, store: MemoryStore | None = None) -> None:
        self._store = store or MemoryStore()

    def open(self) -> AbstractAsyncContextManager[Store]:
        """Another handle on the rows."""
        return self._opened()

    async def edit(self, row: ScheduleRecord | ConfigRecord) -> None:
        """Make the row read exactly so."""
        self._store.edit(row)

    async def delete_config(self, flow: str) -> None:
        """Delete the flow's config row."""
        self._store.delete_config(flow)

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[Store]:
        store = self._store.again()
        yield store
        await store.close()
