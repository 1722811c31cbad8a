"""Fetch many addresses over HTTP, at most so many at once, each within a time.

`concurrency=` bounds what is under way, `timeout=` each attempt; the client is opened once for the run. An address that
cannot be fetched is a dead letter and does not stop the others: `piko-flow dead-letter list` has it with its error.

    piko-flow trigger sweep_http -p pipelines --param 'urls=["https://example.com"]'
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import BaseModel, Field

from piko_flow import Flow, Fold, Pipeline, RunContext, Sink, Source, Transform
from piko_flow.connectors.http import HttpClient

if TYPE_CHECKING:
    import httpx


class Sweep(BaseModel):
    """What to fetch, how many at once, and for how long at most, in seconds."""

    urls: list[str] = ["https://example.com", "https://www.python.org"]
    concurrency: int = Field(default=50, ge=1, le=500)
    timeout_s: float = Field(default=10, gt=0)


@dataclass(frozen=True)
class Fetched:
    """What came from an address."""

    url: str
    status: int
    size: int


Total = tuple[int, int]


async def fetch(url: str, client: httpx.AsyncClient) -> Fetched:
    """Fetch an address. Raises httpx.HTTPError where nothing answers."""
    answer = await client.get(url)
    return Fetched(url, answer.status_code, len(answer.content))


def nothing() -> Total:
    """Give the answers and bytes of no address at all."""
    return 0, 0


def add(so_far: Total, fetched: Fetched) -> Total:
    """Add one answer and its bytes."""
    return so_far[0] + 1, so_far[1] + fetched.size


def tell(total: Total) -> None:
    """Say how many addresses answered."""
    print(f"{total[0]:,} answered, {total[1]:,} bytes")


@Flow.register("sweep_http", params=Sweep, max_errors=1.0, tags=["example"])
def sweep_http(run: RunContext[Sweep]) -> Pipeline:
    """Fetch the addresses and add up what came."""
    sweep = run.params
    client = HttpClient(timeout=sweep.timeout_s, connections=sweep.concurrency)
    return (
        Source(sweep.urls)
        >> Transform(
            fetch,
            concurrency=sweep.concurrency,
            ordered=False,
            timeout=sweep.timeout_s,
            uses={"client": client},
            on_error="dead_letter",
        )
        >> Fold(add, start=nothing)
        >> Sink(tell)
    )
