"""Redis streams, written and read, beside a plain loop of redis-py with the same batch."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

import orjson
from redis.asyncio import Redis

from piko_flow import Sink, Source, run
from piko_flow.connectors.redis_streams import RedisStreamSink, RedisStreamSource
from tests.benchmarks.figure import LIMIT, OURS, Contender, Figure, part_of
from tests.databases.redis import RedisHost

ENTRIES, BATCH = 20_000, 500
ROWS = [
    {"id": number, "name": f"customer {number}", "total": number * 1.25, "paid": number % 3 == 0}
    for number in range(ENTRIES)
]


def figures() -> list[Figure]:
    """Writing entries and reading them, in batches of 500."""
    how = "time of the loop / time"
    return [
        Figure(
            name="redis-write",
            title=f"{ENTRIES:,} dicts into a stream, as JSON, in batches of {BATCH}",
            contenders=(
                Contender(OURS, with_server(write_ours), "Source >> Sink(RedisStreamSink(...), batch=500)"),
                Contender(LIMIT, with_server(write_plain), "redis-py: pipeline of XADD, execute"),
            ),
            score=part_of,
            unit="of limit",
            better="more",
            target=0.8,
            how=how,
        ),
        Figure(
            name="redis-read",
            title=f"{ENTRIES:,} entries of a stream as dicts, {BATCH} at a time",
            contenders=(
                Contender(OURS, with_server(read_ours), "RedisStreamSource >> Sink(function)"),
                Contender(LIMIT, with_server(read_plain), "redis-py: XREAD, orjson.loads, function"),
            ),
            score=part_of,
            unit="of limit",
            better="more",
            target=0.8,
            how=how,
        ),
    ]


@contextmanager
def server() -> Iterator[RedisHost]:
    """A server with nothing in it, which does not wait for the disk."""
    folder = Path(tempfile.mkdtemp(prefix="piko-redis-"))
    host = RedisHost(folder, options=("--appendfsync", "no"))
    host.start()
    try:
        yield host
    finally:
        host.stop()
        shutil.rmtree(folder)


def with_server(work: Callable[[str], Coroutine[Any, Any, float]]) -> Callable[[], float]:
    """The work with the URL of a server of its own."""

    def measured() -> float:
        with server() as host:
            return asyncio.run(work(host.url()))

    return measured


class Kept:
    """Counts items and adds up one field of theirs."""

    def __init__(self) -> None:
        self.items, self.total = 0, 0

    def add(self, item: dict[str, Any]) -> None:
        self.items += 1
        self.total += item["id"]

    def check(self) -> None:
        assert (self.items, self.total) == (ENTRIES, ENTRIES * (ENTRIES - 1) // 2)


async def fill(client: Any) -> None:
    """Add the entries as a person would with redis-py."""
    for first in range(0, ENTRIES, BATCH):
        adding = client.pipeline(transaction=False)
        for row in ROWS[first : first + BATCH]:
            adding.xadd("rows", {"json": orjson.dumps(row)})
        await adding.execute()


async def write_ours(url: str) -> float:
    began = perf_counter()
    await run(Source(ROWS) >> Sink(RedisStreamSink(url, "rows"), batch=BATCH))
    seconds = perf_counter() - began
    await check_written(url)
    return seconds


async def write_plain(url: str) -> float:
    began = perf_counter()
    async with Redis.from_url(url) as client:
        await fill(client)
    seconds = perf_counter() - began
    await check_written(url)
    return seconds


async def check_written(url: str) -> None:
    async with Redis.from_url(url, protocol=2) as client:
        last: Any = await client.xrevrange("rows", count=1)
        assert await client.xlen("rows") == ENTRIES
        assert orjson.loads(last[0][1][b"json"]) == ROWS[-1]


async def read_ours(url: str) -> float:
    async with Redis.from_url(url) as client:
        await fill(client)
    kept = Kept()
    began = perf_counter()
    await run(RedisStreamSource(url, "rows", batch=BATCH, wait=0, max_items=2 * ENTRIES) >> Sink(kept.add))
    seconds = perf_counter() - began
    kept.check()
    return seconds


async def read_plain(url: str) -> float:
    kept = Kept()
    async with Redis.from_url(url, protocol=2) as filling:
        await fill(filling)
    began = perf_counter()
    async with Redis.from_url(url, protocol=2) as client:
        last: Any = "0-0"
        while True:
            found: Any = await client.xread({"rows": last}, count=BATCH)
            if not found:
                break
            for last, fields in found[0][1]:  # noqa: B007  # the last one is needed after the loop
                kept.add(orjson.loads(fields[b"json"]))
    seconds = perf_counter() - began
    kept.check()
    return seconds
