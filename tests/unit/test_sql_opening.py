"""A URL becomes the right store; what is wrong is told without the password."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from piko_flow import App
from piko_flow.control.flows.registry import Registry
from piko_flow.errors import RequestRefused, StoreUnavailable
from piko_flow.settings.model import Settings
from piko_flow.store.opening import open_store
from piko_flow.store.sql.connecting import read_url
from piko_flow.store.sql.failures import StatementRefused
from tests.databases.server import free_port

SECRET = "hunter2"


@pytest.mark.parametrize(
    ("given", "driver"),
    [
        ("sqlite:///flows.db", "sqlite+aiosqlite"),
        ("mysql://u:p@host/flows", "mysql+asyncmy"),
        ("mariadb://u:p@host/flows", "mysql+asyncmy"),
        ("mysql+asyncmy://u:p@host/flows?charset=utf8mb4", "mysql+asyncmy"),
        ("postgresql://u:p@host/flows", "postgresql+asyncpg"),
        ("postgres://u:p@host/flows", "postgresql+asyncpg"),
    ],
)
def test_each_database_has_its_driver(given: str, driver: str) -> None:
    assert read_url(given).drivername == driver


@pytest.mark.parametrize(
    "given",
    [
        f"oracle://u:{SECRET}@host/flows",
        f"u:{SECRET}@host/flows",
        f"mysql://u:{SECRET}@host:port/flows",
        "sqlite://",
        "sqlite:///:memory:",
    ],
)
def test_another_url_is_refused_without_showing_the_password(given: str) -> None:
    with pytest.raises(RequestRefused, match=r"sqlite:///file\.db") as refused:
        read_url(given)
    assert SECRET not in str(refused.value)


async def test_memory_needs_no_database() -> None:
    store = await open_store("memory://")
    assert store.url == "memory://"
    await store.close()


@pytest.mark.parametrize("kind", ["mysql", "postgresql"])
async def test_a_server_that_is_not_there_is_told_without_the_password(kind: str) -> None:
    with pytest.raises(StoreUnavailable) as gone:
        await open_store(f"{kind}://piko:{SECRET}@127.0.0.1:{free_port()}/flows")
    assert SECRET not in str(gone.value)
    assert gone.value.__cause__ is not None


async def test_the_url_of_an_open_store_shows_no_password(database_url: str) -> None:
    store = await open_store(database_url)
    try:
        password = read_url(database_url).password
        assert password is None or password not in store.url
    finally:
        await store.close()


async def test_each_setting_of_the_pool_reaches_the_connections_of_an_application(mariadb_url: str) -> None:
    chosen = Settings(
        database=SecretStr(mariadb_url), mysql_pool_size=3, mysql_max_overflow=1, mysql_pool_recycle_s=77
    )
    async with AsyncExitStack() as held:
        store: Any = await held.enter_async_context(
            App("pooled", registry=Registry(), settings=chosen)._open_store()
        )
        engine = store._database._engine
        assert (engine.pool.size(), engine.pool._max_overflow, engine.pool._recycle) == (3, 1, 77)
        for _ in range(4):
            await held.enter_async_context(engine.connect())
        assert (engine.pool.checkedout(), engine.pool.overflow()) == (4, 1)


async def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    path = tmp_path / "flows.db"
    path.write_text("this is a letter and no database" * 100)
    with pytest.raises((StoreUnavailable, StatementRefused), match=r"not a database: .*/flows\.db$"):
        await open_store(f"sqlite:///{path}")


async def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    path = tmp_path / "flows.db"
    path.symlink_to(path)
    before = set(threading.enumerate())
    with pytest.raises(StoreUnavailable, match=r"unable to open database file: .*/flows\.db$"):
        await open_store(f"sqlite:///{path}")
    for thread in set(threading.enumerate()) - before:  # the driver's, which still has a word for this loop
        await asyncio.to_thread(thread.join, 10)


async def test_a_file_in_a_folder_that_is_missing_is_refused_with_its_path_and_the_setting(
    tmp_path: Path,
) -> None:
    with pytest.raises(StoreUnavailable, match=r"there is no folder .*new.*PIKO_DATABASE") as refused:
        await open_store(f"sqlite:///{tmp_path}/new/flows.db")
    assert f"{tmp_path}/new/flows.db" in str(refused.value)
    assert not (tmp_path / "new").exists()


async def test_a_folder_is_no_database(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="it is a folder, not a file"):
        await open_store(f"sqlite:///{tmp_path}")


async def test_postgresql_without_its_driver_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("piko_flow.store.sql.connecting.find_spec", lambda name: None)
    with pytest.raises(RequestRefused, match=r"pip install 'piko-flow\[postgres\]'") as refused:
        await open_store(f"postgresql://piko:{SECRET}@127.0.0.1/flows")
    assert SECRET not in str(refused.value)


async def test_a_sqlite_file_is_durable_and_lets_readers_in(tmp_path: Path) -> None:
    path = tmp_path / "flows.db"
    store = await open_store(f"sqlite:///{path}")
    await store.digest()
    await store.close()
    file = sqlite3.connect(path)
    assert file.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    file.close()
