"""A loop that stands still while a run is stopped, as on a suspended machine, takes nothing from the time to close."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from piko_flow import Broadcast, Pipeline, Sink, SinkTarget, Source, Transform, start

TEARDOWN = 0.2


async def never(item: int) -> int:
    await asyncio.Event().wait()
    return item


async def takes_turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0.01)


async def closes_in_turns() -> AsyncIterator[int]:
    try:
        while True:
            yield 1
    finally:
        await takes_turns()


@asynccontextmanager
async def client() -> AsyncIterator[None]:
    try:
        yield
    finally:
        await takes_turns()


async def with_client(item: int, client: None) -> int:
    return await never(item)


def stand_still() -> None:
    time.sleep(2 * TEARDOWN)


class AbortsInTurns(SinkTarget[int]):
    async def write(self, items: Sequence[int]) -> None:
        await asyncio.Event().wait()

    async def abort(self) -> None:
        await takes_turns()


@pytest.mark.parametrize("turns", [0, 1, 2, 4, 8])
@pytest.mark.parametrize(
    "pipeline",
    [
        pytest.param(
            Source(range(99)) >> Broadcast(Sink(never), Transform(never) >> Sink(never)), id="nested tasks"
        ),
        pytest.param(Source(closes_in_turns) >> Sink(never), id="source"),
        pytest.param(
            Source(range(99)) >> Transform(with_client, uses={"client": client}) >> Sink(never), id="resource"
        ),
        pytest.param(Source(range(99)) >> Sink(AbortsInTurns()), id="target"),
    ],
)
def test_what_closes_in_turns_closes(pipeline: Pipeline, turns: int) -> None:
    """The loop stands still for twice the time of a tear-down, so many turns after the cancellation."""

    async def stopped() -> tuple[str, ...]:
        async with start(pipeline, capacity=2, teardown=TEARDOWN) as active:
            await takes_turns()
            active.cancel()
            for _ in range(turns):
                await asyncio.sleep(0)
            stand_still()
            return (await active.wait()).leftovers

    assert asyncio.run(stopped()) == ()
