"""A store that is open for the length of a block."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from piko_flow.store.opening import open_store
from piko_flow.store.protocols import Store


@asynccontextmanager
async def stored(url: str) -> AsyncIterator[Store]:
    """The store at the URL."""
    store = await open_store(url)
    try:
        yield store
    finally:
        await store.close()
