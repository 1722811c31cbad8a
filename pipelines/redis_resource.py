"""A client of a server as a resource: opened for each run, closed however the run ends.

Any client goes this way, of a document store, a search engine or a message queue: `acquire` opens it, yields it and
closes it. The address is read when the client is opened, from REDIS_URL, so that a password stands in no code.

    piko-flow trigger count_in_redis -p pipelines
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from piko_flow import Flow, RunContext, RunInfo

if TYPE_CHECKING:
    from redis.asyncio import Redis

VARIABLE: Final = "REDIS_URL"
DEFAULT: Final = "redis://127.0.0.1:6379/0"


class RedisResource:
    """Opens a client of the Redis at REDIS_URL, by default the one of this machine."""

    @asynccontextmanager
    async def acquire(self, info: RunInfo) -> AsyncIterator[Redis]:
        """The client of this run; it connects with its first command."""
        from redis.asyncio import Redis

        client = Redis.from_url(os.environ.get(VARIABLE) or DEFAULT, decode_responses=True)
        try:
            yield client
        finally:
            await client.aclose()


@Flow.register("count_in_redis", resources={"client": RedisResource()}, tags=["example"])
async def count_in_redis(run: RunContext, client: Redis) -> None:
    """Count the runs of this flow, over all processes."""
    print(f"{run.flow} has run {await client.incr(f'runs:{run.flow}')} times")
