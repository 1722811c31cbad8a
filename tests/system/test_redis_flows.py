"""Flows of an application that read a stream in slices: where they go on, also after the application began anew."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest

from piko_flow import Flow, Registry, Sink, Transform
from piko_flow.connectors.redis_streams import RedisStreamSink, RedisStreamSource
from piko_flow.connectors.sql import SqlSink
from piko_flow.planning.run_state import LIVE, RunStatus
from tests.databases.redis import RedisHost
from tests.system.running_app import Running, eventually, running

SLICE = 40


def added(host: RedisHost, first: int, last: int) -> None:
    """Add an entry for each number."""
    for number in range(first, last):
        host.client("XADD", "orders", "*", "json", json.dumps({"number": number}))


def rows(folder: Path) -> list[int]:
    """The numbers in the table beside the ledger, as they were inserted."""
    with closing(sqlite3.connect(folder / "piko.db", timeout=30)) as database:
        return [number for (number,) in database.execute("SELECT number FROM numbers ORDER BY rowid")]


@asynccontextmanager
async def reading(flows: Registry[Flow], folder: Path) -> AsyncIterator[Running]:
    """An application with these flows, and a table for their rows."""
    with closing(sqlite3.connect(folder / "piko.db")) as database:
        database.execute("CREATE TABLE IF NOT EXISTS numbers (number INTEGER NOT NULL)")
    async with running(flows, folder) as app:
        yield app


async def all_ended(app: Running, flow: str) -> list[Any]:
    """The runs of the flow, when none is live: a slice that has more to read is followed by the next."""

    async def ended() -> list[Any]:
        found = await app.runs(flow)
        return [] if any(run.status in LIVE for run in found) else found

    return await eventually(ended)


async def position(app: Running, flow: str) -> Any:
    """Where the ledger says that the flow's next slice begins."""
    found = await app.app.service.call(lambda plane: plane.store.position(flow))
    return None if found is None else json.loads(found)


def into_the_ledger(host: RedisHost) -> Registry[Flow]:
    """The flow `numbers`: the stream into the table, in slices."""
    registry: Registry[Flow] = Registry()
    source = RedisStreamSource(host.url(), "orders", wait=0, max_items=SLICE, batch=15)
    Flow.register(
        "numbers", source >> Sink(SqlSink(table="numbers", columns=["number"]), batch=7), registry=registry
    )
    return registry


async def test_slices_follow_one_another_until_all_is_read_and_an_application_begun_anew_goes_on(
    redis: RedisHost, tmp_path: Path
) -> None:
    added(redis, 0, 100)
    async with reading(into_the_ledger(redis), tmp_path) as app:
        await app.trigger("numbers")

        async def all_read() -> bool:
            return len(rows(tmp_path)) == 100

        await eventually(all_read)
        ended = await all_ended(app, "numbers")
        assert [run.status for run in ended] == [RunStatus.SUCCESS] * 3
        assert (await position(app, "numbers"))["added"] == 100
    added(redis, 100, 130)
    async with reading(into_the_ledger(redis), tmp_path) as app:
        await app.trigger("numbers")
        await all_ended(app, "numbers")
        assert (await position(app, "numbers"))["added"] == 130
    assert rows(tmp_path) == list(range(130))


async def test_a_slice_that_fails_leaves_rows_and_position_as_they_were_and_is_read_again(
    redis: RedisHost, tmp_path: Path
) -> None:
    """Rows and position are one transaction, so the entry that is mended is read once, with all others."""
    broken = True

    def check(item: dict[str, int]) -> dict[str, int]:
        if broken and item["number"] == 55:
            raise ValueError("not yet")
        return item

    registry: Registry[Flow] = Registry()
    source = RedisStreamSource(redis.url(), "orders", wait=0, max_items=SLICE, batch=15)
    sink = Sink(SqlSink(table="numbers", columns=["number"]), batch=7)
    Flow.register("numbers", source >> Transform(check) >> sink, registry=registry)
    added(redis, 0, 100)
    async with reading(registry, tmp_path) as app:
        await app.trigger("numbers")

        async def failed() -> bool:
            return bool(await app.runs("numbers", [RunStatus.FAILED]))

        await eventually(failed)
        await all_ended(app, "numbers")
        assert rows(tmp_path) == list(range(SLICE))
        assert (await position(app, "numbers"))["added"] == SLICE
        broken = False
        await app.trigger("numbers")

        async def all_read() -> bool:
            return len(rows(tmp_path)) >= 100

        await eventually(all_read)
        await all_ended(app, "numbers")
    assert rows(tmp_path) == list(range(100))


@pytest.mark.parametrize("batch", [7, 500])
async def test_a_stream_is_copied_once_in_slices_by_runs_that_commit_from_receipts(
    redis: RedisHost, tmp_path: Path, batch: int
) -> None:
    registry: Registry[Flow] = Registry()
    source = RedisStreamSource(redis.url(), "orders", wait=0, max_items=SLICE)
    sink = Sink(RedisStreamSink(redis.url(), "copies"), batch=batch)
    Flow.register("copies", source >> sink, registry=registry)
    added(redis, 0, 130)
    async with reading(registry, tmp_path) as app:
        await app.trigger("copies")

        async def all_copied() -> bool:
            return redis.client("XLEN", "copies") == "130"

        await eventually(all_copied)
        ended = await all_ended(app, "copies")
    assert [run.status for run in ended] == [RunStatus.SUCCESS] * 4
    told = json.loads(redis.client("--json", "XRANGE", "copies", "-", "+"))
    assert [json.loads(fields[1])["number"] for _, fields in told] == list(range(130))
    assert [name for name in redis.names() if "~part" in name and not name.endswith("~moved")] == []


async def test_a_function_gets_every_entry_and_none_of_a_slice_that_is_done(
    redis: RedisHost, tmp_path: Path
) -> None:
    got: list[int] = []

    def keep(item: dict[str, int]) -> None:
        got.append(item["number"])

    registry: Registry[Flow] = Registry()
    source = RedisStreamSource(redis.url(), "orders", wait=0, max_items=SLICE)
    Flow.register("calls", source >> Sink(keep), registry=registry)
    added(redis, 0, 90)
    for until in (90, 100):
        added(redis, len(got) or 90, until)
        async with reading(registry, tmp_path) as app:
            await app.trigger("calls")

            async def all_called(wanted: int = until) -> bool:
                return len(got) >= wanted

            await eventually(all_called)
            await all_ended(app, "calls")
        assert got == list(range(until))
