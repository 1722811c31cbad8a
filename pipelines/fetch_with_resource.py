"""A client that is opened for the run, handed in by name, and closed however the run ends.

`resources=` names what a plain job needs; a stage of a pipeline does the same with `uses=`. HttpClient is such a
resource, as is any object with `acquire(info)`. An address is fetched many times, a bounded number at a time.

    piko-flow trigger fetch_with_resource -p pipelines --param url=https://example.com
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from pydantic import BaseModel, Field

from piko_flow import Flow, RunContext
from piko_flow.connectors.http import HttpClient

if TYPE_CHECKING:
    import httpx


class Fetches(BaseModel):
    """What to fetch, how often, and how many at once."""

    url: str = "https://example.com"
    times: int = Field(default=100, ge=1)
    at_once: int = Field(default=50, ge=1)


@Flow.register(
    "fetch_with_resource", params=Fetches, resources={"client": HttpClient(timeout=10)}, tags=["example"]
)
async def fetch_with_resource(run: RunContext[Fetches], client: httpx.AsyncClient) -> None:
    """Fetch the address, and say how often it answered with 200."""
    places = asyncio.Semaphore(run.params.at_once)

    async def fetch() -> int:
        async with places:
            return (await client.get(run.params.url)).status_code

    async with asyncio.TaskGroup() as fetching:
        fetched = [fetching.create_task(fetch()) for _ in range(run.params.times)]
    print(f"{[one.result() for one in fetched].count(200)} of {len(fetched)} answers have status 200")
