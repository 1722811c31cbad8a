"""A store for a URL."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from piko_flow.clock import Clock, SystemClock
from piko_flow.planning.lease import LEASE
from piko_flow.retry import seconds

if TYPE_CHECKING:
    from piko_flow.store.protocols import Store


async def open_store(
    url: str,
    *,
    clock: Clock | None = None,
    pool_size: int = 20,
    max_overflow: int = 10,
    pool_recycle: float | timedelta = 3600.0,
    lease: timedelta = LEASE,
    prepare: bool = True,
) -> Store:
    """The store at the URL, to be closed by its `close`. It belongs to the event loop that opens it.

    `sqlite:///file.db`, `mariadb://user:password@host/name`, `mysql://...`, `postgresql://...`, or `memory://`
    for one that ends with the process. With `prepare`, missing tables are made first, and those of an older
    version brought up to date. Raises RequestRefused for another URL, StoreUnavailable when the database cannot
    be reached; no message shows the password. A bare `pool_recycle` is seconds. `lease` is that of the leader: a
    third of it is how long a lock is waited for, and how long the server keeps a transaction in which nothing happens.
    """
    clock = clock or SystemClock()
    if url.startswith("memory:"):
        from piko_flow.store.memory import MemoryStore

        return MemoryStore(clock)
    from piko_flow.store.migrations.running import bring_up_to_date
    from piko_flow.store.sql.connecting import connect, read_url
    from piko_flow.store.sql.store import SqlStore

    parsed, recycle = read_url(url), seconds(pool_recycle)
    database = connect(
        parsed, clock=clock, size=pool_size, overflow=max_overflow, recycle=recycle, lease=lease
    )
    try:
        if prepare:
            await bring_up_to_date(database)
    except BaseException:
        await database.close()
        raise
    return SqlStore(database, url=parsed.render_as_string(hide_password=True))
