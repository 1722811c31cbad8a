"""Whoever is cancelled while the store opens a connection, or asks one, leaves none open behind."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import Any

import pytest

from piko_flow.store.opening import open_store
from tests.system.running_app import eventually

AT_ONCE = 4
STEPS = (*range(20), *range(20, 400, 20))  # of the loop, after which who asks is cancelled


def is_closed(connection: sqlite3.Connection) -> bool:
    try:
        connection.total_changes  # noqa: B018  # asked for what it raises
    except sqlite3.ProgrammingError as error:
        return "closed" in str(error)
    return False


async def test_a_connection_is_closed_whenever_who_asks_is_cancelled(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[sqlite3.Connection] = []
    connect = sqlite3.connect

    def noted(*arguments: Any, **options: Any) -> sqlite3.Connection:
        made.append(connect(*arguments, **{**options, "check_same_thread": False}))
        return made[-1]

    monkeypatch.setattr(sqlite3, "connect", noted)
    cancelled = 0
    for steps in STEPS:
        store = await open_store(sqlite_url)
        asking = [asyncio.ensure_future(store.pulse("lease", "replica")) for _ in range(AT_ONCE)]
        for _ in range(steps):
            await asyncio.sleep(0)
        for one in asking:
            one.cancel()
        ends = await asyncio.gather(*asking, return_exceptions=True)
        cancelled += sum(isinstance(end, asyncio.CancelledError) for end in ends)
        await store.close()

    async def all_closed() -> bool:
        return all(map(is_closed, made))

    await eventually(all_closed)
    assert cancelled > len(STEPS)
    assert len(made) > len(STEPS)
