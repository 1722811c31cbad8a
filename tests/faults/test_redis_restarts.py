"""A Redis server that is killed and comes back in the middle of a batch, a read and a commit: nothing is lost."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from piko_flow import Retry, Sink, Source, StageFailed, Transform, run
from piko_flow.connectors.redis_scripts import MOVE
from piko_flow.connectors.redis_server import RedisClient
from piko_flow.connectors.redis_streams import RedisFailed, RedisStreamSink, RedisStreamSource
from piko_flow.testing import CollectingSink
from tests.databases.redis import RedisHost

PATIENT = Retry(attempts=200, first=0.05, limit=0.3)
TOTAL = 3000


def restart(host: RedisHost) -> None:
    """Kill the server, and start it again on what it had on the disk."""
    host.kill()
    host.start()


def rows(count: int) -> list[dict[str, int]]:
    return [{"n": number} for number in range(count)]


def values(host: RedisHost, stream: str = "out") -> list[int]:
    """The numbers in a stream, in order."""
    told = json.loads(host.client("--json", "XRANGE", stream, "-", "+"))
    return [json.loads(fields[1])["n"] for _, fields in told]


class Restarts:
    """Passes items on and restarts the server at some of them, while the stages behind go on."""

    def __init__(self, host: RedisHost, *at: int) -> None:
        self.host, self.at = host, at
        self.restarted = 0

    async def __call__(self, item: dict[str, int]) -> dict[str, int]:
        if item["n"] in self.at:
            await asyncio.to_thread(restart, self.host)
            self.restarted += 1
        return item


async def test_a_server_restarted_while_a_part_is_written_has_all_of_it_once(
    private_redis: RedisHost,
) -> None:
    restarts = Restarts(private_redis, 700, 1500)
    sink = RedisStreamSink(private_redis.url(), "out", retry=PATIENT)
    await run(Source(rows(TOTAL)) >> Transform(restarts, concurrency=50) >> Sink(sink, batch=20))
    assert restarts.restarted == 2
    assert values(private_redis) == list(range(TOTAL))


async def test_a_server_killed_again_and_again_during_a_run_has_every_item_once(
    private_redis: RedisHost,
) -> None:
    """The kills come whenever they come: while a command is sent, worked on or answered."""
    over = asyncio.Event()
    restarts = 0

    async def restart_until_over() -> None:
        nonlocal restarts
        while not over.is_set() and restarts < 5:
            await asyncio.to_thread(restart, private_redis)
            restarts += 1

    async def one_run() -> None:
        sink = RedisStreamSink(private_redis.url(), "out", retry=PATIENT)
        await run(Source(rows(6000)) >> Sink(sink, batch=5))
        over.set()

    async with asyncio.TaskGroup() as both:
        both.create_task(one_run())
        both.create_task(restart_until_over())
    assert restarts >= 1
    assert values(private_redis) == list(range(6000))


async def test_a_server_killed_amid_a_commit_is_given_the_rest_and_nothing_twice(
    private_redis: RedisHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer to a piece that was moved is lost with the server."""
    script, moved = RedisClient.script, 0

    async def moved_and_killed(self: RedisClient, text: str, keys: list[str], arguments: list[Any]) -> Any:
        nonlocal moved
        answer = await script(self, text, keys, arguments)
        if text is MOVE:
            moved += 1
            if moved == 2:
                await asyncio.to_thread(restart, private_redis)
                return await script(self, text, keys, arguments)
        return answer

    monkeypatch.setattr(RedisClient, "script", moved_and_killed)
    sink = RedisStreamSink(private_redis.url(), "out", retry=PATIENT)
    await run(Source(rows(TOTAL)) >> Sink(sink, batch=500))
    assert moved >= 2
    assert values(private_redis) == list(range(TOTAL))


async def test_a_server_restarted_while_a_stream_is_read_gives_every_entry_once(
    private_redis: RedisHost,
) -> None:
    await run(Source(rows(TOTAL)) >> Sink(RedisStreamSink(private_redis.url(), "in"), batch=500))
    restarts, kept = Restarts(private_redis, 200, 2000), CollectingSink[dict[str, int]]()
    reading = RedisStreamSource(private_redis.url(), "in", wait=0.5, batch=50, retry=PATIENT)
    report = await run(reading >> Transform(restarts) >> kept)
    assert restarts.restarted == 2
    assert [item["n"] for item in kept.items] == list(range(TOTAL))
    assert report.position is not None
    assert report.position["added"] == TOTAL


async def test_a_server_that_stays_away_fails_the_run_and_the_next_one_begins_anew(
    private_redis: RedisHost,
) -> None:
    class Away(Restarts):
        async def __call__(self, item: dict[str, int]) -> dict[str, int]:
            if item["n"] == 500:
                self.host.kill()  # not on a thread, which would go on when the run has failed
            return item

    hasty = RedisStreamSink(private_redis.url(), "out", retry=Retry(attempts=2, first=0))
    with pytest.raises(StageFailed) as caught:
        await run(Source(rows(TOTAL)) >> Transform(Away(private_redis)) >> Sink(hasty, batch=20))
    assert isinstance(caught.value.__cause__, RedisFailed)
    private_redis.start()
    await run(Source(rows(TOTAL)) >> Sink(hasty, batch=100))
    assert values(private_redis) == list(range(TOTAL))
