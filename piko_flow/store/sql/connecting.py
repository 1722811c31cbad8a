"""From a URL to the connections of a database."""

from __future__ import annotations

import os
from datetime import timedelta
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sqlalchemy import URL, event, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from piko_flow.clock import Clock
from piko_flow.errors import RequestRefused, StoreUnavailable
from piko_flow.planning.lease import LEASE
from piko_flow.store.sql.database import Database
from piko_flow.store.sql.dialects import DIALECTS, SqlDialect

DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "mysql": "mysql+asyncmy",
    "mariadb": "mysql+asyncmy",
    "postgresql": "postgresql+asyncpg",
    "postgres": "postgresql+asyncpg",
}
KNOWN = "sqlite:///file.db, mariadb://user:password@host/name, mysql://..., postgresql://... or memory://"
ADVICE = "name another database with --database or the setting PIKO_DATABASE"
CONNECT_WITHIN = 10  # seconds
# SQLite keeps bytes as text that are none; one such cell would fail every query that reads it.
ANY_TEXT = partial(str, encoding="utf-8", errors="backslashreplace")


def read_url(given: str) -> URL:
    """The URL with the driver that is used for its database. Raises RequestRefused, without the password."""
    try:
        url = make_url(given)
    except (ArgumentError, ValueError):
        raise _refused("it cannot be read as a URL", "check that it has the form of the examples") from None
    driver = DRIVERS.get(url.get_backend_name())
    if driver is None:
        raise _refused(f"it begins with {url.drivername}", "use one of the databases that are supported")
    if driver.startswith("sqlite") and (not url.database or url.database == ":memory:"):
        raise _refused(
            "it names no file", "name one, or use memory:// for a store that ends with the process"
        )
    if driver.startswith("mysql") and "charset" not in url.query:
        url = url.update_query_dict({"charset": "utf8mb4"})
    return url.set(drivername=driver)


def connect(
    url: URL,
    *,
    clock: Clock,
    size: int,
    overflow: int = 0,
    recycle: float = 3600.0,
    lease: timedelta = LEASE,
) -> Database:
    """The database at the URL; connections are made when they are needed.

    The server ends a transaction in which nothing happens after a third of the lease, and a lock is waited for no
    longer than that: whoever is cut off or frozen while it holds rows keeps nobody else from leading.

    Raises StoreUnavailable for a SQLite file whose folder is missing, RequestRefused without the database's driver.
    """
    if url.drivername == DRIVERS["postgresql"] and find_spec("asyncpg") is None:
        raise RequestRefused(
            what="open a PostgreSQL database",
            rule="its driver asyncpg is installed",
            got="it is not",
            advice="pip install 'piko-flow[postgres]'",
        )
    dialect = DIALECTS[url.get_backend_name()]
    engine = create_async_engine(
        url,
        # Each statement commits by itself unless a transaction was begun: no round trips to undo nothing.
        isolation_level="AUTOCOMMIT",
        pool_reset_on_return=None,
        skip_autocommit_rollback=True,
        pool_size=size,
        max_overflow=overflow,
        pool_timeout=CONNECT_WITHIN,
        pool_recycle=recycle,
        hide_parameters=True,
        connect_args=_arguments(url, dialect, lock_seconds(lease)),
    )
    _prepare_connections(engine, dialect, lock_seconds(lease))
    return Database(engine, dialect, clock)


def lock_seconds(lease: timedelta) -> int:
    """How long a row may be waited for, and how long it stays locked by whoever asks for nothing more.

    Both after one another, and the renewal of a lease itself, fit into the lease. Whole seconds, since servers
    count in those.
    """
    return max(round(lease.total_seconds() / 3), 1)


def _arguments(url: URL, dialect: SqlDialect, locked: int) -> dict[str, Any]:
    if dialect.name == "sqlite":
        assert url.database is not None
        _check_place(Path(url.database))
        return {"timeout": locked}
    if dialect.name == "mysql":
        return {"connect_timeout": CONNECT_WITHIN, "autocommit": True}
    return {
        "timeout": CONNECT_WITHIN,
        "server_settings": {
            "application_name": "piko-flow",
            "TimeZone": "UTC",
            "statement_timeout": "60s",
            "lock_timeout": f"{locked}s",
            "idle_in_transaction_session_timeout": f"{locked}s",
            # Where the host itself is gone, an answer that nobody confirms and a silence that nobody breaks.
            "tcp_user_timeout": f"{locked}s",
            "tcp_keepalives_idle": f"{locked}",
            "tcp_keepalives_interval": "1",
            "tcp_keepalives_count": f"{locked}",
            "jit": "off",
        },
    }


def _check_place(path: Path) -> None:
    """Refuse a file that cannot be made where it is named: the driver's own message names neither path nor setting."""
    if not path.parent.is_dir():
        reason = f"there is no folder {path.parent.absolute()}"
    elif path.is_dir():
        reason = "it is a folder, not a file"
    elif not path.exists() and not os.access(path.parent, os.W_OK):
        reason = f"no file can be made in {path.parent.absolute()}"
    else:
        return
    raise StoreUnavailable(what=f"open {path}", reason=f"{reason}; {ADVICE}")


def _prepare_connections(engine: AsyncEngine, dialect: SqlDialect, locked: int) -> None:
    @event.listens_for(engine.sync_engine, "connect")
    def prepare(connection: Any, record: Any) -> None:
        asking = connection.cursor()
        for statement in dialect.session:
            asking.execute(statement.format(locked=locked, locked_ms=1000 * locked))
        asking.close()
        if dialect.name == "sqlite":
            connection.driver_connection.text_factory = ANY_TEXT


def _refused(got: str, advice: str) -> RequestRefused:
    return RequestRefused(
        what="open a store", rule=f"its URL is one of {KNOWN}", got=f"this one is not: {got}", advice=advice
    )
