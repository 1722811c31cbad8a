"""A store that is open for the length of a block."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from piko_flow.planning.lease import LEASE
from piko_flow.store.opening import open_store
from piko_flow.store.protocols import Store


@asynccontextmanager
async def stored(url: str, *, lease: timedelta = LEASE) -> AsyncIterator[Store]:
    """The store at the URL."""
    store = await open_store(url, lease=lease)
    try:
        yield store
    finally:
        await store.close()
