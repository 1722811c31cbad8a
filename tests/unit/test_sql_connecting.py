"""A connection that does not come about leaves nothing open, whatever stood in its way and whenever it is cancelled."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url
from sqlalchemy.util import await_only

from piko_flow.connectors.sql import DatabaseFailed
from piko_flow.connectors.sql_connection import CONNECTIONS, connect
from piko_flow.connectors.sql_url import read_url
from tests.system.running_app import eventually
from tests.unit.sql_by_hand import Tables

OTHERS = {
    "mysql": "SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()",
    "postgresql": "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()",
}


@pytest.fixture
def database(database_url: str) -> str:
    """An empty database of each kind, which is there."""
    url = make_url(database_url)
    if url.get_backend_name() == "sqlite":
        Path(url.database or "").touch()
    return database_url


async def test_a_file_that_is_not_there_is_told_and_not_made(tmp_path: Path) -> None:
    missing = tmp_path / "orders.db"
    url = read_url(f"sqlite:///{missing}", what="", where="", refuse=refuse)
    with pytest.raises(DatabaseFailed, match=f"there is no file {missing}"):
        await connect(url)
    assert not missing.exists()


async def nobody_is_connected(url: str, threads: set[threading.Thread]) -> None:
    """Wait until the database has no connection left, and no thread of a driver works."""
    kind = make_url(url).get_backend_name()
    if kind == "sqlite":
        for thread in set(threading.enumerate()) - threads:
            thread.join(60)
            assert not thread.is_alive()
        return

    async def alone() -> bool:
        return not await Tables(url).rows(OTHERS[kind])

    assert await eventually(alone)


async def test_one_that_is_cancelled_while_its_first_questions_wait_is_closed(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, asked, before = (
        read_url(database, what="", where="", refuse=refuse),
        asyncio.Event(),
        set(threading.enumerate()),
    )

    def hang(dialect: Any, connection: Any) -> None:
        asked.set()
        await_only(asyncio.Event().wait())

    with monkeypatch.context() as patched:
        patched.setattr(url.get_dialect(), "initialize", hang)
        connecting = asyncio.ensure_future(connect(url))
        await asked.wait()
        connecting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await connecting
    await nobody_is_connected(database, before)


@pytest.mark.parametrize("error", [OSError("the line is dead"), ValueError("not today")], ids=repr)
async def test_one_whose_first_questions_fail_is_closed(
    database: str, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    url, before = read_url(database, what="", where="", refuse=refuse), set(threading.enumerate())

    def fail(dialect: Any, connection: Any) -> None:
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(url.get_dialect(), "initialize", fail)
        with pytest.raises(DatabaseFailed, match=str(error)):
            await connect(url)
    await nobody_is_connected(database, before)


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT nothing FROM nowhere",
        "INSERT INTO once VALUES (1), (1)",
    ],
    ids=["statement", "value"],
)
async def test_one_whose_session_is_refused_is_closed(
    database: str, monkeypatch: pytest.MonkeyPatch, statement: str
) -> None:
    url, before = read_url(database, what="", where="", refuse=refuse), set(threading.enumerate())
    await Tables(database).rows("CREATE TABLE once (id INTEGER PRIMARY KEY)")
    monkeypatch.setattr(CONNECTIONS[url.get_backend_name()], "session", statement)
    with pytest.raises(DatabaseFailed, match="could not connect at "):
        await connect(url)
    await nobody_is_connected(database, before)


def refuse(rule: str, got: str, advice: str) -> Any:
    """Say that the URL of the fixture is none."""
    raise AssertionError((rule, got, advice))
