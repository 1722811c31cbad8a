"""Streams under kill -9: whenever the process dies, every entry arrives, once, in its place."""

from __future__ import annotations

import os
import sqlite3
from collections import Counter
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

import orjson
from redis.asyncio import Redis

from tests.databases.redis import RedisHost
from tests.faults.killed_redis import TABLE
from tests.faults.killing import killing

KILLS, TOTAL = 40, 4000
FEW, FEWEST = 150, 20  # entries that are copied when it dies at each step, and steps that it has at least
LEDGER_KILLS = 6  # each waits until the dead replica is missed
SEED = int(os.environ.get("PIKO_TEST_SEED", "0")) or int.from_bytes(os.urandom(4), "big")


async def filled(client: Any, stream: str, total: int = TOTAL) -> None:
    """Add so many entries, each a number."""
    adding = client.pipeline(transaction=False)
    for number in range(total):
        adding.xadd(stream, {"json": orjson.dumps({"number": number})})
    await adding.execute()


async def numbers(client: Any, stream: str) -> list[int]:
    """The numbers in a stream, in order."""
    return [orjson.loads(fields[b"json"])["number"] for _, fields in await client.xrange(stream)]


async def test_entries_go_from_stream_to_stream_once_and_in_order_whoever_is_killed(
    redis: RedisHost, tmp_path: Path
) -> None:
    client: Redis = Redis.from_url(redis.url(), protocol=2)
    async with client, killing("tests.faults.killed_redis", seed=SEED) as killer:
        for number in count():
            source, to = f"in-{number}", f"out-{number}"
            await filled(client, source)
            await killer.work(
                "copy_stream",
                most=12,
                url=redis.url(),
                source=source,
                to=to,
                folder=str(tmp_path / str(number)),
                total=TOTAL,
            )
            assert await numbers(client, to) == list(range(TOTAL))
            left = [name for name in redis.names() if name.startswith(to) and name != to]
            # The sign of life of a run that is killed at its very end goes by itself.
            lasting = [name for name in left if not (await client.pttl(name) > 0 and "~run~" in name)]
            assert [name for name in lasting if not name.endswith("~moved")] == []
            if killer.kills >= KILLS:
                break


async def test_entries_go_from_stream_to_stream_once_and_in_order_at_whatever_step_it_dies(
    redis: RedisHost, tmp_path: Path
) -> None:
    client: Redis = Redis.from_url(redis.url(), protocol=2)
    async with client, killing("tests.faults.killed_redis") as killer:
        for step in count(1):
            source, to = f"in-{step}", f"out-{step}"
            await filled(client, source, FEW)
            copying = {"source": source, "to": to, "total": FEW, "slice_of": FEW // 2 + 1}
            folder = str(tmp_path / str(step))
            died = await killer.dies_at(step, "copy_stream", url=redis.url(), folder=folder, **copying)
            assert await numbers(client, to) == list(range(FEW)), f"it died at step {step}"
            if not died:
                break
        assert killer.kills == step - 1 >= FEWEST


async def test_entries_go_into_the_ledgers_database_once_whoever_is_killed(
    redis: RedisHost, sqlite_url: str
) -> None:
    """Rows and position commit together: the table has no key, so it would take an entry twice."""
    make_table(sqlite_url)
    client: Redis = Redis.from_url(redis.url(), protocol=2)
    async with client, killing("tests.faults.killed_redis", seed=SEED) as killer:
        for number in count(1):
            await filled(client, "in")
            await killer.work(
                "fill_table",
                most=3,
                url=redis.url(),
                stream="in",
                database=sqlite_url,
                total=TOTAL * number,
            )
            assert Counter(rows(sqlite_url)) == Counter(list(range(TOTAL)) * number)
            if killer.kills >= LEDGER_KILLS:
                break


def make_table(url: str) -> None:
    """The table that the flow fills."""
    with closing(sqlite3.connect(url.partition("///")[2])) as database:
        database.execute(f"CREATE TABLE {TABLE} (number INTEGER NOT NULL)")


def rows(url: str) -> list[int]:
    """The numbers that the table holds."""
    with closing(sqlite3.connect(url.partition("///")[2], timeout=30)) as database:
        return [number for (number,) in database.execute(f"SELECT number FROM {TABLE}")]
